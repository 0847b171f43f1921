package wire_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

func TestDeletionsComeBackAsTheyWere(t *testing.T) {
	r := seeded(t)
	expects := []daybook.Expect{daybook.ExpectAny(), daybook.ExpectNone(), daybook.ExpectExists(), daybook.ExpectVersion(7), daybook.ExpectChangeset(1 << 40)}
	for i := range rounds / 10 {
		d := daybook.Deletion{
			ID: r.id(), Stream: r.stream(), Expect: expects[i%len(expects)], Through: daybook.Version(i), Scrub: i%2 == 0, Who: r.text(), Why: r.text(),
		}
		values, err := url.ParseQuery(wire.DeletionParams(&d).Encode())
		if err != nil {
			t.Fatal(err)
		}
		asked, err := wire.ParseDeletion(values, d.Stream)
		if err != nil || asked != d {
			t.Fatalf("%+v is asked for as %v, and comes as %+v, %v", d, values, asked, err)
		}
		d.Expect = daybook.ExpectAny()
		made := daybook.RecordedDeletion{Deletion: d, Receipt: daybook.DeletionReceipt{
			ID: d.ID, Number: daybook.DeletionNumber(i + 1), Stream: d.Stream, RecordedAt: r.record().RecordedAt, Through: daybook.Version(i / 2),
			Changesets: int64(i), Records: int64(2 * i), Scrubbed: i%4 == 0, Durability: daybook.DurabilityDisk,
		}}
		line := wire.AppendDeletion(nil, &made)
		oneLine(t, line)
		back, err := wire.DecodeDeletion(line)
		same(t, line, back, err, made)
		made.Receipt.Repeated = true
		body := wire.AppendDeletionReceipt(nil, &made.Receipt)
		receipt, err := wire.DecodeDeletionReceipt(body)
		same(t, body, receipt, err, made.Receipt)
	}
}

func TestWhatADeletionAsksForInWrongWordsIsNamed(t *testing.T) {
	for name, value := range map[string]string{"expect": "version", "through": "-1", "scrub": "perhaps"} {
		_, err := wire.ParseDeletion(url.Values{name: {value}}, daybook.Stream("a"))
		var invalid *daybook.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != name {
			t.Errorf("%s=%s is answered with %v", name, value, err)
		}
	}
}
