package storagetest

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
)

// gather returns the records of a read and the error that it ended with. It
// reports an error of its own where something follows that error.
func gather(records iter.Seq2[daybook.Record, error]) ([]daybook.Record, error) {
	var all []daybook.Record
	var failure error
	for record, err := range records {
		if failure != nil {
			return all, fmt.Errorf("the sequence went on after its error: %w", failure)
		}
		if err != nil {
			failure = err
			continue
		}
		all = append(all, record)
	}
	return all, failure
}

// sameRecords reports the first difference of two lists of records.
func (s *subject) sameRecords(got, want []daybook.Record, what string) bool {
	s.Helper()
	for i := range min(len(got), len(want)) {
		if d := recordDifference(got[i], want[i]); d != "" {
			s.Errorf("%s: record %d of %d (%s): %s", what, i+1, len(want), place(got[i]), d)
			return false
		}
	}
	if len(got) != len(want) {
		s.Errorf("%s: got %d records %s, want %d %s", what, len(got), places(got), len(want), places(want))
		return false
	}
	return true
}

// recordDifference returns what differs between two records, or "". Any
// position is as good as a wanted one of 0.
func recordDifference(got, want daybook.Record) string {
	if d := eventDifference(got.Event, want.Event); d != "" {
		return d
	}
	if want.Position == 0 {
		want.Position = got.Position
	}
	return firstDifference(
		field("stream", got.Stream, want.Stream),
		field("version", got.Version, want.Version),
		field("position", got.Position, want.Position),
		timeField("recorded time", got.RecordedAt, want.RecordedAt),
		headerDifference(got.Changeset, want.Changeset),
	)
}

// eventDifference returns what differs between two events, or "". Nil and
// empty are the same.
func eventDifference(got, want daybook.Event) string {
	g, w := &got.Context, &want.Context
	return firstDifference(
		field("event id", got.ID, want.ID),
		field("type", got.Type, want.Type),
		field("content type", got.ContentType, want.ContentType),
		bytesField("data", got.Data, want.Data),
		listField("tags", got.Tags, want.Tags),
		timeField("occurred time", got.OccurredAt, want.OccurredAt),
		field("who", g.Who, w.Who),
		field("correlation", g.Correlation, w.Correlation),
		field("source", g.Source, w.Source),
		field("commentary", g.Commentary, w.Commentary),
		field("schema", g.Schema, w.Schema),
		bytesField("metadata of the event", g.Metadata, w.Metadata),
		causeDifference(g.Why, w.Why),
	)
}

func causeDifference(got, want *daybook.Cause) string {
	if got == nil || want == nil {
		return field("having a cause", got != nil, want != nil)
	}
	return firstDifference(
		field("id of the cause", got.ID, want.ID),
		field("what of the cause", got.What, want.What),
		field("who of the cause", got.Who, want.Who),
		timeField("when of the cause", got.When, want.When),
	)
}

// headerDifference returns what differs between two headers, or "". Ordinals
// differ only where both are counted.
func headerDifference(got, want *daybook.ChangesetHeader) string {
	if got == nil || want == nil {
		return field("having a changeset", got != nil, want != nil)
	}
	ordinal := ""
	if got.Ordinal != 0 && want.Ordinal != 0 {
		ordinal = field("ordinal", got.Ordinal, want.Ordinal)
	}
	return firstDifference(
		field("changeset number", got.Number, want.Number),
		field("first version of the changeset", got.First, want.First),
		field("number of records in the changeset", got.Count, want.Count),
		field("append id", got.AppendID, want.AppendID),
		bytesField("metadata of the changeset", got.Metadata, want.Metadata),
		listField("claims", got.Claims, want.Claims),
		listField("releases", got.Releases, want.Releases),
		listField("references", got.References, want.References),
		ordinal,
	)
}

// receiptDifference returns what differs between two receipts, whether they
// are repeated and how durable they are aside.
func receiptDifference(got, want daybook.Receipt) string {
	if d := firstDifference(
		field("append id", got.AppendID, want.AppendID),
		timeField("recorded time", got.RecordedAt, want.RecordedAt),
		field("number of changesets", len(got.Changesets), len(want.Changesets)),
	); d != "" {
		return d
	}
	for i := range want.Changesets {
		g, w := got.Changesets[i], want.Changesets[i]
		if g.Ordinal == 0 || w.Ordinal == 0 {
			g.Ordinal, w.Ordinal = 0, 0
		}
		if d := field(fmt.Sprintf("changeset %d of the receipt", i+1), g, w); d != "" {
			return d
		}
	}
	return ""
}

func firstDifference(differences ...string) string {
	for _, d := range differences {
		if d != "" {
			return d
		}
	}
	return ""
}

func field[V comparable](name string, got, want V) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("the %s is %s, want %s", name, show(got), show(want))
}

func show(value any) string {
	if text, ok := value.(string); ok {
		return shorten(fmt.Sprintf("%q", text))
	}
	return shorten(fmt.Sprintf("%+v", value))
}

func bytesField(name string, got, want []byte) string {
	if bytes.Equal(got, want) {
		return ""
	}
	return fmt.Sprintf("the %s is %s (%d bytes), want %s (%d bytes)", name,
		shorten(fmt.Sprintf("%q", got)), len(got), shorten(fmt.Sprintf("%q", want)), len(want))
}

func listField[V comparable](name string, got, want []V) string {
	if slices.Equal(got, want) {
		return ""
	}
	return fmt.Sprintf("the %s are %s, want %s", name, shorten(fmt.Sprintf("%+v", got)), shorten(fmt.Sprintf("%+v", want)))
}

// timeField compares times; a record's time must be in UTC besides.
func timeField(name string, got, want time.Time) string {
	if got.Equal(want) && got.Location() == time.UTC {
		return ""
	}
	return fmt.Sprintf("the %s is %s, want %s", name, got.Format(time.RFC3339Nano), want.Format(time.RFC3339Nano))
}

func shorten(text string) string {
	const longest = 200
	if len(text) > longest {
		return text[:longest] + "…"
	}
	return text
}

// place says where a record stands.
func place(r daybook.Record) string {
	return fmt.Sprintf("%q version %d at %d", r.Stream, r.Version, r.Position)
}

func places(records []daybook.Record) string {
	texts := make([]string, len(records))
	for i, r := range records {
		texts[i] = place(r)
	}
	return shorten("[" + strings.Join(texts, ", ") + "]")
}

func streamsOf(a daybook.Append) string {
	texts := make([]string, len(a.Changesets))
	for i, c := range a.Changesets {
		texts[i] = fmt.Sprintf("%q", c.Stream)
	}
	return strings.Join(texts, ", ")
}

func describeStreamRead(r daybook.StreamRead) string {
	return fmt.Sprintf("from %d to %d until %s backwards %t limit %d", r.From, r.To, describeTime(r.Until), r.Backwards, r.Limit)
}

func describeLogRead(r daybook.LogRead) string {
	return fmt.Sprintf("after %d to %d until %s filter %+v backwards %t limit %d",
		r.After, r.To, describeTime(r.Until), r.Filter, r.Backwards, r.Limit)
}

func describeTime(t time.Time) string {
	if t.IsZero() {
		return "ever"
	}
	return t.Format(time.RFC3339Nano)
}
