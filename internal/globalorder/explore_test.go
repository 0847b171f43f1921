package globalorder_test

import "testing"

// scenario is where an exploration begins. Writers begin with a tail that they
// have from before: an empty one.
type scenario struct {
	name  string
	begin modelState
}

func writer(id, stream, expect int8) modelWriter {
	return modelWriter{at: atID, id: id, stream: stream, expect: expect}
}

// scenarios are the beginnings. Writers who are not there have ended.
func scenarios(long bool) []scenario {
	gone := modelWriter{at: crashed}
	two := modelState{
		writers: [3]modelWriter{writer(1, 0, 0), writer(2, 0, -1), gone}, reader: modelReader{times: 1}, crashes: 1, losses: 1, gap: 1,
	}
	twice := modelState{writers: [3]modelWriter{writer(1, 0, 0), writer(1, 0, 0), gone}, crashes: 1, losses: 1, gap: 1}
	// The author of page 1 has stalled while he settles it, that of page 2 is gone.
	stalled := modelState{
		writers: [3]modelWriter{
			{at: atSettle, id: 3, settling: 1, last: 1, then: atEnd, answer: stored, answered: 1}, writer(1, 0, -1), writer(2, 0, 2),
		},
		reader: modelReader{times: 1}, gap: 2, n: 2,
	}
	stalled.pages[1] = modelPage{nonce: 100, id: 3, version: 1}
	stalled.pages[2] = modelPage{nonce: 101, id: 4, version: 2}
	three := modelState{writers: [3]modelWriter{writer(1, 0, -1), writer(2, 0, 1), writer(3, 1, -1)}, gap: 2}
	all := []scenario{
		{"two writers and a reader", two}, {"two attempts of one append", twice}, {"a stalled writer", stalled}, {"three writers", three},
	}
	if long {
		three.crashes, three.losses = 1, 1
		all = append(all, scenario{"three writers and a crash", three})
	}
	return all
}

// explore goes through every order of steps, and returns how many states there
// are, or the first thing that is wrong.
func explore(begin modelState, b bugs) (states int, wrong string) {
	seen := map[modelState]struct{}{begin: {}}
	open := []modelState{begin}
	for len(open) > 0 && wrong == "" {
		s := open[len(open)-1]
		open = open[:len(open)-1]
		s.next(b, func(after modelState, broken string) {
			if wrong == "" {
				wrong = broken
			}
			if _, known := seen[after]; !known {
				seen[after] = struct{}{}
				open = append(open, after)
			}
		})
	}
	return len(seen), wrong
}

func TestNoOrderOfStepsBreaksTheLog(t *testing.T) {
	for _, s := range scenarios(!testing.Short() && !raceDetector) {
		states, wrong := explore(s.begin, bugs{})
		if wrong != "" {
			t.Errorf("%s: %s", s.name, wrong)
		}
		if states < 1000 {
			t.Errorf("%s: %d states are too few to say anything", s.name, states)
		}
		t.Logf("%s: %d states", s.name, states)
	}
}

func TestEveryPlantedBugIsFound(t *testing.T) {
	for name, b := range map[string]bugs{
		"a page is put in the place of another":      {overwrite: true},
		"who lost a number does not decide again":    {keepDecision: true},
		"rows are trusted that may not be settled":   {rowsAlone: true},
		"a page is marked before its rows are there": {markFirst: true},
		"a head gives way to an older one":           {stampFalls: true},
		"an unknown outcome is told as refused":      {refusedUnknown: true},
		"a reader takes the rows before the tail":    {rowsBeforeTail: true},
	} {
		found := ""
		for _, s := range scenarios(false) {
			if _, wrong := explore(s.begin, b); wrong != "" {
				found = s.name + ": " + wrong
				break
			}
		}
		if found == "" {
			t.Errorf("%s, and nothing is found wrong", name)
		}
		t.Logf("%s: %s", name, found)
	}
}
