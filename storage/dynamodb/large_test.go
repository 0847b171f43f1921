package dynamodb_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/dynamodb"
)

func TestChangesetThatHasNoRoomInOneItemIsReadBackWhole(t *testing.T) {
	e, address := eesTable(t)
	d := open(t, address, dynamodb.Options{})
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	c := changeset("a", "large", 3)
	c.Events[0].Data, c.Events[2].Data = noise, []byte(`{"x":"`+strings.Repeat("y", 350_000)+`"}`)
	c.Metadata = []byte(`{"m":"` + strings.Repeat("z", 50_000) + `"}`)
	mustAppend(t, d, appendOf(c, changeset("b", "small", 1)))
	other := open(t, address, dynamodb.Options{})
	var read []daybook.Record
	for _, backwards := range []bool{false, true} {
		read = nil
		for r, err := range other.ReadStream(t.Context(), c.Stream, daybook.StreamRead{Backwards: backwards}) {
			if err != nil {
				t.Fatal(err)
			}
			read = append(read, r)
		}
		if backwards {
			slices.Reverse(read)
		}
		if len(read) != 3 {
			t.Fatalf("%d records, want 3", len(read))
		}
		for i, r := range read {
			if !bytes.Equal(r.Data, c.Events[i].Data) || !bytes.Equal(r.Changeset.Metadata, c.Metadata) {
				t.Errorf("record %d has changed", i)
			}
		}
	}
	mustBeSound(t, other)
	// EES finds as many events as there are.
	if got := e.stream("a"); len(got) != 1 || len(got[0].events) != 3 {
		t.Errorf("EES reads %v", got)
	}
}

func TestChangesetOfEESThatFillsItsItemIsTakenIn(t *testing.T) {
	e, address := eesTable(t)
	e.commit("a", `"`+strings.Repeat("x", 408_000)+`"`)
	e.commit("a", `1`)
	d := open(t, address, dynamodb.Options{})
	mustAppend(t, d, appendOf(changeset("a", "ours", 1)))
	if got := places(logOf(t, d)); got != "a/1.1 a/2.2 a/3.3" {
		t.Errorf("the log is %s", got)
	}
	mustBeSound(t, d)
	mustBeReadByEES(t, e, d)
}

func TestAppendThatIsTooLargeIsRefusedBeforeItIsSent(t *testing.T) {
	sent := 0
	proxy := startProxy(t, func(*request) fault { sent++; return pass })
	d := open(t, urlOf(proxy, freshTable(t)), dynamodb.Options{})
	before := sent
	var many daybook.Append
	for i := range 88 {
		many.Changesets = append(many.Changesets, changeset(fmt.Sprintf("s-%d", i), "ours", 1))
	}
	many.ID = daybook.NewID()
	claims := changeset("a", "ours", 1)
	for i := range 90 {
		claims.Claims = append(claims.Claims, daybook.Claim{Kind: "k", Value: fmt.Sprint(i)})
	}
	large := changeset("a", "ours", 1)
	large.Events[0].Data = make([]byte, 1<<20)
	for name, a := range map[string]daybook.Append{"streams": many, "claims": appendOf(claims), "bytes": appendOf(large)} {
		var limit *daybook.LimitError
		if _, err := d.Append(t.Context(), a); !errors.As(err, &limit) {
			t.Errorf("%s: %v, want a limit", name, err)
		}
	}
	if sent != before {
		t.Errorf("%d requests were sent", sent-before)
	}
	many.Changesets = many.Changesets[:d.Limits().Changesets]
	mustAppend(t, d, many)
	mustBeSound(t, d)
}

func TestStreamsAreListedWhereNamesFillTheirShelves(t *testing.T) {
	address := urlOf(endpoint(t), freshTable(t))
	d := open(t, address, dynamodb.Options{})
	random := randomOf(t)
	var want []daybook.StreamID
	for i := range 120 {
		// Names that agree in 15, 30 and 45 symbols, end in their midst, and sort
		// by bytes that are no letters.
		id := daybook.StreamID{Name: strings.Repeat("customer-invoice-", random.IntN(4)) + fmt.Sprintf("%x\u00ff\x01%d", random.IntN(6), i)}
		if random.IntN(8) == 0 {
			id.Name = strings.Repeat("q", 1+i%62)
		}
		id.Partition = []string{"", "", "", "a", "a\x01", "\u00ff"}[random.IntN(6)]
		if slices.Contains(want, id) {
			continue
		}
		want = append(want, id)
	}
	for some := range slices.Chunk(want, 40) {
		var a daybook.Append
		for _, id := range some {
			a.Changesets = append(a.Changesets, daybook.Changeset{Stream: id, Events: changeset("", "x", 1).Events})
		}
		a.ID = daybook.NewID()
		mustAppend(t, d, a)
	}
	slices.SortFunc(want, func(a, b daybook.StreamID) int {
		return strings.Compare(a.Partition+"\x00"+a.Name, b.Partition+"\x00"+b.Name)
	})
	other := open(t, address, dynamodb.Options{})
	for from := 0; from < len(want); from += 1 + random.IntN(9) {
		list := daybook.StreamList{}
		if from > 0 {
			list.After = want[from-1]
		}
		at := from
		for head, err := range other.ListStreams(t.Context(), list) {
			if err != nil {
				t.Fatal(err)
			}
			if at == len(want) || head.Stream != want[at] {
				t.Fatalf("behind %q, at %d of %d: stream %q is listed", list.After, at, len(want), head.Stream)
			}
			at++
		}
		if at != len(want) {
			t.Fatalf("behind %q %d streams are missing", list.After, len(want)-at)
		}
	}
}

func TestLogOfManyBlocksIsFoundAtEveryPlace(t *testing.T) {
	address := urlOf(endpoint(t), freshTable(t))
	d := open(t, address, dynamodb.Options{})
	const pages = 270 // two blocks and a piece
	for i := range pages {
		mustAppend(t, d, appendOf(changeset("a", fmt.Sprintf("t-%d", i), 2)))
	}
	random := randomOf(t)
	for range 12 {
		other := open(t, address, dynamodb.Options{})
		after := daybook.Position(random.IntN(2*pages + 2))
		next := after
		for r, err := range other.ReadLog(t.Context(), daybook.LogRead{After: after, Limit: 5}) {
			if err != nil {
				t.Fatal(err)
			}
			if next++; r.Position != next {
				t.Fatalf("behind %d comes %d", next-1, r.Position)
			}
		}
		if want := min(after+5, 2*pages); next != max(want, after) {
			t.Errorf("behind %d the log ends at %d", after, next)
		}
	}
	mustBeSound(t, open(t, address, dynamodb.Options{}))
}
