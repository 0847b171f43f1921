package disk_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// tortureCrashes, in the environment, says how many crashes the torture test
// simulates; see docs/testing.md.
const tortureCrashes = "DAYBOOK_TORTURE"

// fewCrashes is how many it simulates without that.
const fewCrashes = 240

// tortureLives is how often a tortured store is opened.
const tortureLives = 12

func TestSimulatedCrashesLeaveWhatWasAcknowledged(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that a seed replays: see tortured
	crashes := fromEnvironment(t, tortureCrashes, fewCrashes)
	if seed, ok := givenSeed(t); ok {
		r, err := tortured(t, seed, nil)
		t.Logf("seed %d:\n%s", seed, strings.Join(r.steps, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	first := rand.Uint64() >> 1
	var total counts
	n := 0
	for ; total.crashes < crashes && n < mostSeeds(t) && !t.Failed(); n++ {
		seed := first + uint64(n)
		r, err := tortured(t, seed, nil)
		if err != nil {
			reportSeed(t, n, seed, r, err)
		}
		total.add(r.counts)
	}
	t.Logf("%d seeds from %d on: %s", n, first, total)
}

// reportSeed says what was broken, and how to see it again.
func reportSeed(t *testing.T, n int, seed uint64, r *torture, err error) {
	t.Helper()
	t.Errorf("seed %d, after %d others: %v\n%s\nto replay it: DAYBOOK_SEED=%d go test -count 1 -run '^%s$' -v ./storage/disk",
		seed, n, err, strings.Join(r.steps, "\n"), seed, strings.Split(t.Name(), "/")[0])
}

// tortured lives the lives of a seed in a bubble of its own, in which a store
// that waits for ever is noticed. On one processor the goroutines of the store
// take turns in the same way each time, mostly: then the seed decides all.
func tortured(t *testing.T, seed uint64, prepare func(*torture)) (r *torture, err error) {
	t.Helper()
	r = newTorture(seed)
	defer func() {
		if p := recover(); p != nil {
			panic(fmt.Sprintf("seed %d: %v\n%s", seed, p, strings.Join(r.steps, "\n")))
		}
	}()
	if prepare != nil {
		prepare(r)
	}
	synctest.Test(t, func(*testing.T) { err = r.run(tortureLives) })
	return r, err
}

// mostSeeds returns how many seeds may be tried.
func mostSeeds(t *testing.T) int {
	t.Helper()
	return fromEnvironment(t, tortureSeeds, math.MaxInt)
}

// fromEnvironment returns the number that the environment gives a name.
func fromEnvironment(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// givenSeed returns DAYBOOK_SEED.
func givenSeed(t *testing.T) (uint64, bool) {
	t.Helper()
	text := os.Getenv("DAYBOOK_SEED")
	if text == "" {
		return 0, false
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("DAYBOOK_SEED: %v", err)
	}
	return seed, true
}
