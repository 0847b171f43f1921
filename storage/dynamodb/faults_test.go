package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/dynamodb"
)

// randomOf returns chance that is printed, and can be had again.
func randomOf(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if given := os.Getenv("DAYBOOK_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// attempts counts what a driver is told of its requests.
type attempts struct {
	mu  sync.Mutex // guards all below
	all []dynamodb.Attempt
}

func (a *attempts) note(_ context.Context, attempt dynamodb.Attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, attempt)
}

func (a *attempts) take() []dynamodb.Attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.all
	a.all = nil
	return all
}

func TestAppendWhoseRequestFailsOnceIsStoredOnce(t *testing.T) {
	for name, what := range map[string]fault{
		"throttled": throttle, "cancelled for want of capacity": cancel, "cancelled for another transaction": conflict, "an inner error": refuse, "cut before": cutUnapplied,
		"cut when applied": cutApplied, "an inner error when applied": errorApplied,
	} {
		for _, operation := range []string{"TransactWriteItems", "UpdateItem", "GetItem", "Query"} {
			if (what == cancel || what == conflict) && operation != "TransactWriteItems" {
				continue
			}
			t.Run(name+" "+operation, func(t *testing.T) {
				t.Parallel()
				failed := false
				proxy := startProxy(t, func(r *request) fault {
					if r.operation == operation && !failed {
						failed = true
						return what
					}
					return pass
				})
				var seen attempts
				d := open(t, urlOf(proxy, freshTable(t)), dynamodb.Options{Attempt: seen.note})
				a := appendOf(changeset("a", "ours", 2), changeset("b", "ours", 1))
				receipt := mustAppend(t, d, a)
				if receipt.Repeated || receipt.Changesets[0].First != 1 {
					t.Errorf("the receipt is %+v, want that of the first attempt", receipt)
				}
				told := 0
				for _, attempt := range seen.take() {
					if attempt.Err != nil && attempt.Operation == operation {
						told++
						if attempt.Throttled != (what == throttle || what == cancel) || attempt.Contended != (what == conflict) {
							t.Errorf("the attempt %+v is told as throttled: %t, as contended: %t", attempt, attempt.Throttled, attempt.Contended)
						}
					}
				}
				if !failed || told != 1 {
					t.Errorf("of a failed request the program was told %d times", told)
				}
				if again := mustAppend(t, d, a); !again.Repeated {
					t.Errorf("the repeat is answered with %+v", again)
				}
				if got := len(logOf(t, d)); got != 3 {
					t.Errorf("%d records, want 3", got)
				}
				mustBeSound(t, d)
			})
		}
	}
}

func TestTableWithoutCapacityIsToldApartFromConflicts(t *testing.T) {
	dry := false
	proxy := startProxy(t, func(r *request) fault {
		if dry {
			return throttle
		}
		return pass
	})
	d := open(t, urlOf(proxy, freshTable(t)), dynamodb.Options{Attempts: 2, Patience: 1})
	mustAppend(t, d, appendOf(changeset("a", "ours", 1)))
	first := changeset("a", "ours", 1)
	first.Expect = daybook.ExpectNone()
	if _, err := d.Append(t.Context(), appendOf(first)); !errors.Is(err, daybook.ErrConflict) {
		t.Errorf("the error is %v, want a conflict", err)
	}
	dry = true
	var throttled *dynamodb.ThrottledError
	_, err := d.Append(t.Context(), appendOf(changeset("a", "ours", 1)))
	if !errors.As(err, &throttled) || errors.Is(err, daybook.ErrConflict) {
		t.Errorf("the error is %v, want it to say that the table has no capacity", err)
	}
	dry = false
	mustAppend(t, d, appendOf(changeset("a", "ours", 1)))
}

func TestTransactionsThatAreAlwaysInTheWayRefuseNothing(t *testing.T) {
	busy := false
	proxy := startProxy(t, func(r *request) fault {
		if busy && r.operation == "TransactWriteItems" {
			return conflict
		}
		return pass
	})
	d := open(t, urlOf(proxy, freshTable(t)), dynamodb.Options{Attempts: 2, Patience: 1})
	mustAppend(t, d, appendOf(changeset("a", "ours", 1)))
	busy = true
	a := appendOf(changeset("a", "ours", 1))
	var contended *dynamodb.ContendedError
	if _, err := d.Append(t.Context(), a); !errors.As(err, &contended) || errors.Is(err, daybook.ErrRefused) {
		t.Errorf("the error is %v, want that others were in the way, and the outcome unknown", err)
	}
	busy = false
	if receipt := mustAppend(t, d, a); receipt.Repeated {
		t.Errorf("the receipt is %+v, though nothing had been stored", receipt)
	}
}

func TestRefusalBehindAnAttemptThatWasAppliedRefusesNothing(t *testing.T) {
	transactions := 0
	proxy := startProxy(t, func(r *request) fault {
		if r.operation == "TransactWriteItems" {
			if transactions++; transactions == 2 {
				return cutApplied
			} else if transactions > 2 {
				return deny
			}
		}
		return pass
	})
	table := freshTable(t)
	d := open(t, urlOf(proxy, table), dynamodb.Options{Patience: 1})
	mustAppend(t, d, appendOf(changeset("a", "ours", 1)))
	a := appendOf(changeset("a", "ours", 1))
	if _, err := d.Append(t.Context(), a); err == nil || errors.Is(err, daybook.ErrRefused) {
		t.Errorf("the error is %v, which says that nothing was stored", err)
	}
	if receipt := mustAppend(t, open(t, urlOf(endpoint(t), table), dynamodb.Options{}), a); !receipt.Repeated {
		t.Errorf("the receipt is %+v: the append was stored twice", receipt)
	}
}

func TestMissingRightIsToldAsSuch(t *testing.T) {
	denied := false
	proxy := startProxy(t, func(r *request) fault {
		if denied && r.operation != "Query" && r.operation != "GetItem" {
			return deny
		}
		return pass
	})
	d := open(t, urlOf(proxy, freshTable(t)), dynamodb.Options{})
	mustAppend(t, d, appendOf(changeset("a", "ours", 1)))
	denied = true
	if _, err := d.Append(t.Context(), appendOf(changeset("a", "ours", 1))); !errors.Is(err, daybook.ErrReadOnly) {
		t.Errorf("the error is %v, want one that matches ErrReadOnly", err)
	}
	if got := len(logOf(t, d)); got != 1 {
		t.Errorf("%d records can be read, want 1", got)
	}
}

// TestRandomFaultsLoseNothingAndDoubleNothing appends with several drivers
// through a network that fails every fifth time.
func TestRandomFaultsLoseNothingAndDoubleNothing(t *testing.T) {
	random := randomOf(t)
	faults := []fault{throttle, refuse, cutApplied, cutUnapplied, errorApplied}
	proxy := startProxy(t, func(r *request) fault { // never asked by two at once
		if random.IntN(5) > 0 {
			return pass
		}
		if r.operation == "TransactWriteItems" && random.IntN(3) == 0 {
			return cancel
		}
		return faults[random.IntN(len(faults))]
	})
	const drivers, each = 3, 15
	table := freshTable(t)
	plain := open(t, urlOf(endpoint(t), table), dynamodb.Options{})
	var group sync.WaitGroup
	for i := range drivers {
		d := open(t, urlOf(endpoint(t), table), dynamodb.Options{})
		_ = d.Close() // the table is there
		driver, err := dynamodb.Open(t.Context(), urlOf(proxy, table), quick(dynamodb.Options{Attempts: 3}))
		for err != nil {
			driver, err = dynamodb.Open(t.Context(), urlOf(proxy, table), quick(dynamodb.Options{Attempts: 3}))
		}
		group.Go(func() {
			defer driver.Close()
			for k := range each {
				a := appendOf(changeset(fmt.Sprintf("own-%d", i), "ours", 1), changeset("all", fmt.Sprintf("k-%d", k), 1))
				for {
					_, err := driver.Append(context.Background(), a)
					if err == nil {
						break
					}
					if errors.Is(err, daybook.ErrConflict) || errors.Is(err, daybook.ErrInvalid) {
						t.Errorf("an append that expects nothing is refused: %v", err)
						return
					}
				}
			}
		})
	}
	group.Wait()
	if got, want := len(logOf(t, plain)), 2*drivers*each; got != want {
		t.Errorf("%d records, want %d", got, want)
	}
	mustBeSound(t, plain)
}
