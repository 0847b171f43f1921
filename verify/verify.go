// Package verify walks a store through its public methods and checks that it
// keeps its promises. It works on every storage, writes nothing, and may run
// while others append: what is added behind its back is taken in or left out,
// never mistaken for damage.
//
// What is checked, in this order:
//
//  1. The log forwards: positions rise, recorded times never fall, every
//     record is well formed; the records of a changeset are all there, stand
//     together and agree about it; versions and changeset numbers of each
//     stream follow each other; ordinals rise by one where they are counted;
//     an append id names one append; what was referred to existed; no two
//     streams held a claim at once.
//  2. The log backwards holds the same records.
//  3. Each stream, read alone, holds the same records, its head agrees, and no
//     event id stands twice in a changeset.
//  4. The list of streams, the holders of the claims, the statistics and the
//     end of the log agree with what was read.
//  5. What recorded deletions took cannot be read, they explain the gaps in the
//     ordinals, and a stream begins where they end.
//
// Deletions that are made meanwhile can make a walk disagree with itself; then
// it is begun again.
//
// Memory grows with the number of streams, deleted ones too, and of claims, not
// of records: about 200 bytes a stream and its name. Ids are compared in sets of bounded size,
// by reading again where they do not fit one.
package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
)

// Options of a verification. Nil and zero fields mean the defaults.
type Options struct {
	// Progress is called now and then, in the goroutine of the caller.
	Progress func(Progress)
	// MaxFindings bounds how many findings the report keeps; all are counted.
	// Default 1,000.
	MaxFindings int
	// MaxIDs bounds how many append ids are held in memory at once; a log
	// with more is read again for the rest. Default 1,000,000, some 40 MB.
	MaxIDs int
}

// Progress tells how far a verification has come.
type Progress struct {
	Step  string // "log", "append ids", "log backwards", "streams", "claims"
	Done  int64
	Total int64 // of the step; 0 where it is not known
}

// Report says what was found.
type Report struct {
	Findings []Finding // in the order in which they were met
	Found    int64     // how many there are, those beyond MaxFindings too
	// Skipped names what could not be checked, and why: a storage that does
	// not offer it, a log that does not begin at its beginning.
	Skipped []string

	Streams    int64
	Changesets int64
	Records    int64
	Claims     int64            // held now
	Deletions  int64            // recorded
	End        daybook.Position // the last position that was checked
}

// OK reports whether nothing was found.
func (r Report) OK() bool { return r.Found == 0 }

// Store checks everything that a store promises.
//
// The error tells what kept it from finishing: the end of ctx, a storage that
// cannot be reached. Damage is no error but a finding; where damage keeps the
// rest from being read, Report.Skipped says so.
func Store(ctx context.Context, store *daybook.Store, options *Options) (Report, error) {
	for attempt := 1; ; attempt++ {
		w := newWalk(store, options)
		if err := w.all(ctx); err != nil || w.report.Found == w.lasting {
			return w.result(), err
		}
		disturbed, err := w.deletedMeanwhile(ctx)
		if err != nil || !disturbed {
			return w.result(), err
		}
		if attempt == attempts {
			w.pardon()
			return w.result(), nil
		}
	}
}

// attempts is how often a store is walked in which records are deleted at the
// same time.
const attempts = 3

// all takes all steps.
func (w *walk) all(ctx context.Context) error {
	steps := []func(context.Context) error{
		w.readDeletions, w.forwards, w.otherAppendIDs, w.backwards, w.eachStream, w.deletedStreams, w.listStreams, w.claimHolders, w.stats,
	}
	for _, step := range steps {
		err := step(ctx)
		var damage *daybook.CorruptError
		if errors.As(err, &damage) {
			w.found(Damaged, daybook.StreamID{}, damage.Position, "%v", damage)
			w.skip("everything behind the damage")
			break
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) result() Report {
	r := w.report
	r.Streams, r.End = int64(len(w.streams)), w.last
	if !w.beginning {
		r.Skipped = append(r.Skipped, "references: the log does not begin at its beginning")
	}
	for _, holder := range w.claims.holders {
		if holder != (daybook.StreamID{}) {
			r.Claims++
		}
	}
	return r
}

// found adds a finding to the report.
func (w *walk) found(kind Kind, stream daybook.StreamID, position daybook.Position, format string, args ...any) {
	w.report.Found++
	if lasting[kind] {
		w.lasting++
	}
	if len(w.report.Findings) < w.options.MaxFindings {
		w.report.Findings = append(w.report.Findings, Finding{
			Kind: kind, Stream: stream, Position: position, Message: fmt.Sprintf(format, args...),
		})
	}
}

func (w *walk) skip(what string) { w.report.Skipped = append(w.report.Skipped, what) }

// unsupported notes that err says that the storage does not offer something,
// and reports whether it does.
func (w *walk) unsupported(err error) bool {
	if !errors.Is(err, daybook.ErrUnsupported) {
		return false
	}
	w.skip(err.Error())
	return true
}

// progress tells the caller about every 1,024th step, and the last.
func (w *walk) progress(step string, done, total int64) {
	if w.options.Progress != nil && (done%1024 == 0 || done == total) {
		w.options.Progress(Progress{Step: step, Done: done, Total: total})
	}
}
