package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/remote"
	"github.com/daybook-go/daybook/verify"
)

const (
	processEnv  = "DAYBOOK_BANK"         // the address of the server, for a process of the bank
	numberEnv   = "DAYBOOK_BANK_PROCESS" // which one it is
	secondsEnv  = "DAYBOOK_BANK_SECONDS" // how long the test runs; default 2
	seedEnv     = "DAYBOOK_SEED"
	processes   = 4
	goroutines  = 50 // of each process
	accountsOf  = 10
	openingWith = 1000
)

// report is what a process has done.
type report struct {
	Done, Refused, Repeated, Conflicts int64
	IDs                                []string // of the transfers that were stored
	Tries                              int      // the most that one command took
	Slowest                            time.Duration
}

// add adds what another has done.
func (r *report) add(o report) {
	r.Done, r.Refused, r.Repeated, r.Conflicts = r.Done+o.Done, r.Refused+o.Refused, r.Repeated+o.Repeated, r.Conflicts+o.Conflicts
	r.IDs = append(r.IDs, o.IDs...)
	r.Tries, r.Slowest = max(r.Tries, o.Tries), max(r.Slowest, o.Slowest)
}

// TestMoneyIsConservedByFourProcesses transfers between ten accounts from 200
// goroutines in four processes, over HTTP. Every third command is sent twice.
func TestMoneyIsConservedByFourProcesses(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	t.Cleanup(func() { _ = store.Close() })
	accounts, err := newAccounts(store, aggregate.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range accountsOf {
		for _, command := range []Command{open(fmt.Sprint("owner ", i), fmt.Sprint("DE", i)), deposit(openingWith)} {
			if _, err := accounts.Execute(t.Context(), strconv.Itoa(i), command, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	seconds, seed := 2, uint64(time.Now().UnixNano())
	if text := os.Getenv(secondsEnv); text != "" {
		seconds, _ = strconv.Atoi(text)
	}
	if text := os.Getenv(seedEnv); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("%s=%d", seedEnv, seed)
	all := runProcesses(t, serve(t, store), seconds, seed)

	sum := 0
	for i := range accountsOf {
		at, err := accounts.Load(t.Context(), strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		if at.State.Balance < 0 {
			t.Errorf("account %d is overdrawn: %d", i, at.State.Balance)
		}
		sum += at.State.Balance
	}
	if sum != accountsOf*openingWith {
		t.Errorf("there are %d, want %d", sum, accountsOf*openingWith)
	}
	checkAppends(t, store, all)
	if err := accounts.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if found, err := verify.Store(t.Context(), store, nil); err != nil || !found.OK() {
		t.Errorf("verify: %+v, %v", found, err)
	}
	t.Logf("%d transfers in %d s, %d a second; %d refused, %d repeats, %d conflicts decided again; at most %d tries and %v for a command",
		all.Done, seconds, all.Done/int64(seconds), all.Refused, all.Repeated, all.Conflicts, all.Tries, all.Slowest.Round(time.Millisecond))
	if all.Done == 0 || all.Conflicts == 0 || all.Repeated == 0 {
		t.Error("nothing was contended, so that nothing was shown")
	}
}

// serve serves a store on the loopback and returns its address.
func serve(t *testing.T, store *daybook.Store) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- httpapi.Serve(ctx, listener, httpapi.New(store, nil), nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String()
}

// runProcesses runs the processes and adds up their reports.
func runProcesses(t *testing.T, address string, seconds int, seed uint64) report {
	t.Helper()
	var all report
	var mu sync.Mutex
	var group sync.WaitGroup
	for p := range processes {
		group.Go(func() {
			command := exec.CommandContext(t.Context(), os.Args[0])
			command.Env = append(os.Environ(), processEnv+"="+address, fmt.Sprint(numberEnv, "=", p),
				fmt.Sprint(secondsEnv, "=", seconds), fmt.Sprint(seedEnv, "=", seed))
			var stderr bytes.Buffer
			command.Stderr = &stderr
			out, err := command.Output()
			var one report
			if err == nil {
				err = json.Unmarshal(out, &one)
			}
			if err != nil {
				t.Errorf("process %d: %v\n%s", p, err, stderr.String())
				return
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(one)
			t.Logf("process %d: %d transfers", p, one.Done)
			if one.Done == 0 {
				t.Errorf("process %d did not get through", p)
			}
		})
	}
	group.Wait()
	return all
}

// checkAppends sees that each transfer stands in the log once, on two accounts,
// and that what stands there was reported.
func checkAppends(t *testing.T, store *daybook.Store, all report) {
	t.Helper()
	times := map[daybook.ID]int{}
	for record, err := range store.ReadLog(t.Context(), daybook.LogRead{Filter: daybook.Filter{StreamTypes: []string{"account"}}}) {
		if err != nil {
			t.Fatal(err)
		}
		times[record.Changeset.AppendID]++
	}
	for _, id := range all.IDs {
		if n := times[daybook.IDOf(id)]; n != 2 {
			t.Errorf("transfer %s stands in the log with %d records, want 2", id, n)
		}
		delete(times, daybook.IDOf(id))
	}
	if len(times) != 2*accountsOf {
		t.Errorf("%d appends besides the transfers, want the %d of opening", len(times), 2*accountsOf)
	}
}

// process transfers money from its goroutines for some seconds and prints a
// report.
func process(address string) int {
	number, _ := strconv.Atoi(os.Getenv(numberEnv))
	seconds, _ := strconv.Atoi(os.Getenv(secondsEnv))
	seed, _ := strconv.ParseUint(os.Getenv(seedEnv), 10, 64)
	driver, err := remote.Open(address, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	accounts, err := newAccounts(store, aggregate.Hooks{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var all report
	var failed atomic.Bool
	var mu sync.Mutex
	var group sync.WaitGroup
	until := time.Now().Add(time.Duration(seconds) * time.Second)
	for g := range goroutines {
		group.Go(func() {
			one, err := customer(store, accounts, number*goroutines+g, seed, until)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				failed.Store(true)
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(one)
		})
	}
	group.Wait()
	if err := accounts.Close(context.Background()); err != nil || failed.Load() {
		return 1
	}
	if json.NewEncoder(os.Stdout).Encode(all) != nil {
		return 1
	}
	return 0
}

// customer transfers money until the time is up.
func customer(store *daybook.Store, accounts *Accounts, number int, seed uint64, until time.Time) (report, error) {
	random := rand.New(rand.NewPCG(seed, uint64(number)))
	var done report
	options := &aggregate.TransactionOptions{
		OnConflict: func(context.Context, aggregate.Conflict) { done.Conflicts++ },
	}
	for i := 0; time.Now().Before(until); i++ {
		from := random.IntN(accountsOf)
		to, amount := (from+1+random.IntN(accountsOf-1))%accountsOf, 1+random.IntN(600)
		id := fmt.Sprint("transfer ", number, " ", i)
		options.ID = daybook.IDOf(id)
		times := 1
		if i%3 == 0 {
			times = 2
		}
		stored := false
		for range times {
			start := time.Now()
			result, err := aggregate.Transact(context.Background(), store, func(ctx context.Context, tx *aggregate.Transaction) error {
				if _, err := accounts.ExecuteIn(ctx, tx, strconv.Itoa(from), withdraw(amount)); err != nil {
					return err
				}
				_, err := accounts.ExecuteIn(ctx, tx, strconv.Itoa(to), deposit(amount))
				return err
			}, options)
			done.Tries, done.Slowest = max(done.Tries, result.Tries), max(done.Slowest, time.Since(start))
			switch {
			case errors.Is(err, errFunds):
				done.Refused++
			case err != nil:
				return done, err
			case result.Receipt.Repeated:
				done.Repeated++
			default:
				done.Done++
			}
			if err == nil && !stored {
				stored = true
				done.IDs = append(done.IDs, id)
			}
		}
	}
	return done, nil
}
