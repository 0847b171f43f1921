package daytest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/storage/memory"
)

// word is a type whose values are the same in capitals and in small letters.
type word struct{ Text string }

var words = codec.Must(codec.New[word](codec.Event[word]("word")))

func sameWords(a, b any) bool { return strings.EqualFold(a.(word).Text, b.(word).Text) }

// TestWhatIsTheSameIsForTheTestToSay sees that every comparison goes by the
// rule of the test, both ways.
func TestWhatIsTheSameIsForTheTestToSay(t *testing.T) {
	decider := daytest.Decider[word, word, word]{
		Decide: func(_, command word) ([]word, error) {
			if command.Text == "no" {
				return nil, errors.New("no")
			}
			return []word{{strings.ToUpper(command.Text)}}, nil
		},
		Evolve: func(_, event word) word { return word{strings.ToUpper(event.Text)} },
		Clone:  func(state word) word { return word{strings.ToLower(state.Text)} },
	}
	projection := daytest.Projection[word]{Apply: func(_ word, r *daybook.Record) (word, error) {
		values, err := words.Decode(r)
		return values[0], err
	}}
	stream := daybook.Stream("word-1")
	for name, test := range map[string]func(t daytest.T, want string){
		"events":  func(t daytest.T, want string) { decider.Given(t, word{"a"}).When(word{"go"}).Then(word{want}) },
		"a state": func(t daytest.T, want string) { decider.Given(t).When(word{"go"}).ThenState(word{want}) },
		"a fold": func(t daytest.T, want string) {
			daytest.Fold[word, word]{Evolve: decider.Evolve}.Given(t, word{"go"}).Then(word{want})
		},
		"a projection": func(t daytest.T, want string) {
			projection.Given(t, daytest.Records(t, words, daytest.Happened[word]{Stream: stream, Values: []word{{"GO"}}})...).Then(word{want})
		},
		"a log": func(t daytest.T, want string) {
			log := daytest.NewLog(t, memory.New(nil), words)
			defer log.Close()
			changeset, _ := words.Changeset(stream, daybook.ExpectAny(), word{"GO"})
			_, _ = log.AppendAll(t.Context(), daybook.Append{Changesets: []daybook.Changeset{changeset}})
			log.Then(stream, word{want})
		},
	} {
		t.Run(name, func(t *testing.T) {
			for want, fails := range map[string]bool{"go": false, "gone": true} {
				told := watch(t, func(r *recorder) { test(daytest.Comparing(r, sameWords), want) })
				if (len(told.failed) > 0) != fails {
					t.Errorf("with %q as what is wanted the test says %q", want, told.failed)
				}
			}
		})
	}
}

func TestOutcomesOfFaultsAreComparedByTheRuleOfTheTest(t *testing.T) {
	outcomes := 0
	subject := func() daytest.Subject[string] {
		return daytest.Subject[string]{
			Driver: func() daybook.Driver { return memory.New(nil) },
			Start: func(context.Context, *daybook.Store) (func(context.Context, string) error, error) {
				return func(context.Context, string) error { return nil }, nil
			},
			Outcome: func(context.Context, *daybook.Store) (any, error) {
				outcomes++
				return word{[]string{"go", "GO"}[outcomes%2]}, nil
			},
		}
	}
	options := &daytest.CheckOptions{Seed: 1, Runs: 3}
	daytest.Check(daytest.Comparing(t, sameWords), subject, []string{"x"}, options)
	watch(t, func(r *recorder) { daytest.Check(r, subject, []string{"x"}, options) }).says(t, "different outcomes")
}
