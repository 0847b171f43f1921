package daytest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/daytest"
	"github.com/daybook-go/daybook/storage/memory"
)

// asked is a command with its id, as a request carries it.
type asked struct {
	ID      string
	Account string
	Command command
}

var accounts = aggregate.Decider[account, command, event]{Initial: initial, Decide: decide, Evolve: evolve}

func TestAnAggregatesDeciderConverts(t *testing.T) {
	daytest.Decider[account, command, event](accounts).Given(t, deposited{5}).When(withdraw{5}).Then(withdrawn{5})
}

// repositories are programs that carry commands out, each once.
func repositories(cache int) func() daytest.Subject[asked] {
	return func() daytest.Subject[asked] {
		return daytest.Subject[asked]{
			Driver: func() daybook.Driver { return memory.New(nil) },
			Given: func(ctx context.Context, store *daybook.Store) error {
				for _, name := range []string{"account-1", "account-2"} {
					event := daybook.Event{Type: "deposited", Data: []byte(`{"Amount":100}`)}
					if _, err := store.Append(ctx, daybook.Stream(name), daybook.ExpectNone(), event); err != nil {
						return err
					}
				}
				return nil
			},
			Lane: func(a asked) string { return a.Account },
			Start: func(_ context.Context, store *daybook.Store) (func(context.Context, asked) error, error) {
				repository, err := aggregate.New(store, "account", accountCodec, accounts, &aggregate.Options[account, event]{
					Cache: cache,
					Retry: aggregate.Retry{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }},
				})
				return func(ctx context.Context, a asked) error {
					_, err := repository.Execute(ctx, a.Account, a.Command, &aggregate.CommandOptions{ID: daybook.IDOf(a.ID)})
					if errors.Is(err, errTooLittle) {
						return nil // refused: that is an answer
					}
					return err
				}, err
			},
		}
	}
}

func TestARepositoryCarriesEachCommandOutOnceUnderAllFaults(t *testing.T) {
	commands := []asked{
		{"c1", "1", open{"Ann"}}, {"c2", "2", open{"Bob"}}, {"c3", "1", withdraw{60}}, {"c4", "2", withdraw{10}},
		{"c5", "1", withdraw{60}}, {"c6", "1", withdraw{30}}, {"c7", "2", withdraw{95}},
	}
	t.Run("without a cache", func(t *testing.T) { daytest.Check(t, repositories(0), commands, nil) })
	t.Run("with a cache", func(t *testing.T) { daytest.Check(t, repositories(10), commands, nil) })
}
