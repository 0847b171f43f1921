package daybook

import (
	"context"
	"fmt"
	"time"
)

// RetentionRule says what is kept of some streams. A record goes when it is too
// old or when enough newer ones stand behind it, but never before the rest of
// its changeset.
type RetentionRule struct {
	// Filter selects the streams; its Query must be empty. The zero Filter
	// selects all of them.
	Filter Filter
	// Keep is how many records of a stream are kept: the newest, and those that
	// came with the oldest of them. 0 is any number.
	Keep int64
	// MaxAge is how long a record is kept after it was recorded, to the
	// microsecond. 0 is for ever.
	MaxAge time.Duration
	// Scrub also removes the content of the records: see Deletion.
	Scrub bool
}

// RetainOptions are options of Retain. Nil and zero fields mean the defaults.
type RetainOptions struct {
	// After is the stream to go on behind, in the order of ListStreams: the
	// After of the report of a run that was cut short.
	After StreamID
	// DryRun counts what would go, and deletes nothing.
	DryRun bool
	// Who and Why stand in the recorded deletions. Default for Why "retention".
	Who, Why string
	// Progress is called behind every stream, in the goroutine of the caller.
	Progress func(RetainReport)
	// Now is the clock that ages are counted by. Default time.Now. It is read
	// once.
	Now func() time.Time
}

// RetainReport says what a retention has done so far.
type RetainReport struct {
	Streams int64    // that were looked at
	Trimmed int64    // that lost records and have some left
	Emptied int64    // that lost all of the records that they had when they were listed
	Records int64    // that went
	After   StreamID // the last stream that was done
}

// retainPage is how many streams Retain holds in memory at once.
const retainPage = 256

// Retain holds the streams of a store to rules: of each stream goes what the
// first rule that selects it does not keep. A stream that loses all of its
// records loses its claims too.
//
// It may be run at any time, beside appends, and as often as one likes: a
// record that is appended meanwhile stays. After an error the report says how
// far it came; a second run does the rest, from the beginning or from
// RetainOptions.After. Memory is bounded, whatever the store holds.
// *UnsupportedError where the driver cannot list streams, or not delete.
func Retain(ctx context.Context, store *Store, rules []RetentionRule, options *RetainOptions) (RetainReport, error) {
	r := retention{store: store, rules: rules}
	if options != nil {
		r.options = *options
	}
	if r.options.Why == "" {
		r.options.Why = "retention"
	}
	if r.options.Now == nil {
		r.options.Now = time.Now
	}
	r.now, r.report.After = r.options.Now(), r.options.After
	if err := checkRules(rules); err != nil {
		return r.report, err
	}
	if _, deletes := store.driver.(Deleter); !deletes && !r.options.DryRun {
		return r.report, store.unsupported("deleting streams")
	}
	for {
		page, err := r.page(ctx)
		if err != nil || len(page) == 0 {
			return r.report, err
		}
		for _, stream := range page {
			if err := r.stream(ctx, stream); err != nil {
				return r.report, err
			}
		}
	}
}

// checkRules returns what is wrong with rules in themselves.
func checkRules(rules []RetentionRule) error {
	if len(rules) == 0 {
		return &InvalidError{Field: "rules", Value: "empty", Reason: "must hold at least one rule"}
	}
	for i, rule := range rules {
		field := fmt.Sprintf("rules[%d]", i)
		switch {
		case rule.Keep < 0:
			return inside(negative("keep", rule.Keep), "%s", field)
		case rule.MaxAge < 0:
			return &InvalidError{Field: field + ".max_age", Value: rule.MaxAge.String(), Reason: "must not be negative"}
		case rule.Keep == 0 && rule.MaxAge == 0:
			return &InvalidError{Field: field, Value: "without bounds", Reason: "must say how many records to keep, or for how long"}
		case len(rule.Filter.Query.Items) > 0:
			return &InvalidError{Field: field + ".filter.query", Value: "not empty", Reason: "streams are selected by partition and type only"}
		}
	}
	return nil
}

// retention is one run of Retain.
type retention struct {
	store   *Store
	rules   []RetentionRule
	options RetainOptions
	now     time.Time
	report  RetainReport
}

// page returns the next streams. They are taken in pages, not in one list, since
// a driver need not keep a list open while its streams are deleted.
func (r *retention) page(ctx context.Context) ([]StreamHead, error) {
	list := StreamList{After: r.report.After, Limit: retainPage}
	if len(r.rules) == 1 {
		list.Filter = r.rules[0].Filter
	}
	var page []StreamHead
	for head, err := range r.store.ListStreams(ctx, list) {
		if err != nil {
			return nil, err
		}
		page = append(page, head)
	}
	return page, nil
}

// stream holds one stream to the rule for it.
func (r *retention) stream(ctx context.Context, s StreamHead) error {
	for i := range r.rules {
		rule := &r.rules[i]
		if !rule.Filter.MatchesStream(s.Stream) {
			continue
		}
		if err := r.apply(ctx, rule, s); err != nil {
			return err
		}
		break
	}
	r.report.Streams++
	r.report.After = s.Stream
	if r.options.Progress != nil {
		r.options.Progress(r.report)
	}
	return nil
}

// apply deletes what a rule does not keep of a stream.
func (r *retention) apply(ctx context.Context, rule *RetentionRule, s StreamHead) error {
	through, err := r.through(ctx, rule, s)
	if err != nil || through < s.First {
		return err
	}
	records := int64(through-s.First) + 1
	if !r.options.DryRun {
		receipt, err := r.store.DeleteStream(ctx, Deletion{
			Stream: s.Stream, Through: through, Scrub: rule.Scrub, Who: r.options.Who, Why: r.options.Why,
		})
		if err != nil {
			return err
		}
		records = receipt.Records
	}
	r.report.Records += records
	if through == s.Version {
		r.report.Emptied++
	} else {
		r.report.Trimmed++
	}
	return nil
}

// through returns the last version of the stream that a rule does not keep, at
// the end of a changeset; one below First if it keeps all.
func (r *retention) through(ctx context.Context, rule *RetentionRule, s StreamHead) (Version, error) {
	through := s.First - 1
	if rule.Keep > 0 {
		through = max(through, s.Version-Version(rule.Keep))
	}
	if rule.MaxAge > 0 {
		// Recorded times never fall along a stream, and a changeset has one.
		until := r.now.Add(-rule.MaxAge)
		if !s.RecordedAt.After(until) {
			return s.Version, nil
		}
		old, err := first(r.store.ReadStream(ctx, s.Stream, StreamRead{To: s.Version, Until: until, Backwards: true, Limit: 1}))
		if err != nil {
			return 0, err
		}
		if old != nil {
			through = max(through, old.Version)
		}
	}
	if through < s.First || through == s.Version {
		return through, nil
	}
	record, err := first(r.store.ReadStream(ctx, s.Stream, StreamRead{From: through, To: through}))
	if err != nil || record == nil {
		return s.First - 1, err // deleted meanwhile
	}
	if record.Changeset.Last() > through {
		through = record.Changeset.First - 1
	}
	return through, nil
}
