package postgres_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"reflect"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// cutter is a proxy in front of the server that cuts each connection after a
// random number of bytes.
type cutter struct {
	listener net.Listener
	server   string

	mu     sync.Mutex // guards all below
	random *rand.Rand
	most   int // bytes of a connection
	cuts   int
}

// cutting returns the URL of a proxy that cuts the connections to an address.
func cutting(t *testing.T, address string, random *rand.Rand, most int) (*cutter, string) {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: listener, server: parsed.Host, random: random, most: most}
	t.Cleanup(func() { _ = listener.Close() })
	go c.accept()
	parsed.Host = listener.Addr().String()
	return c, parsed.String()
}

func (c *cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		c.mu.Lock()
		left := [2]int{1 + c.random.IntN(c.most), 1 + c.random.IntN(c.most)}
		c.mu.Unlock()
		go c.pass(client, server, left[0])
		go c.pass(server, client, left[1])
	}
}

// pass passes on so many bytes, then cuts both sides.
func (c *cutter) pass(from, to net.Conn, left int) {
	buffer := make([]byte, 4096)
	for left > 0 {
		n, err := from.Read(buffer[:min(len(buffer), left)])
		if n > 0 {
			left -= n
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			break
		}
	}
	if left == 0 {
		c.mu.Lock()
		c.cuts++
		c.mu.Unlock()
	}
	_, _ = from.Close(), to.Close()
}

func TestConnectionsCutAtRandomLoseAndDoubleNothing(t *testing.T) {
	const writers, appends = 4, 25
	random := randomOf(t)
	address := freshSchema(t)
	direct := daybook.New(open(t, address, nil), nil)
	proxy, through := cutting(t, address, random, 30_000)
	store := daybook.New(openThroughCuts(t, through), nil)
	answered := make([][]outcome, writers)
	var running sync.WaitGroup
	for w := range writers {
		sizes := make([]int, appends)
		for i := range sizes {
			sizes[i] = 1 + random.IntN(3)
		}
		running.Go(func() {
			for i, size := range sizes {
				a := cutAppend(w, i, size)
				receipt, err := store.AppendAll(t.Context(), a)
				for tries := 0; err != nil && tries < 100; tries++ {
					receipt, err = store.AppendAll(t.Context(), a)
				}
				answered[w] = append(answered[w], outcome{receipt, err})
			}
		})
	}
	running.Wait()
	want := 0
	for w := range answered {
		for i, o := range answered[w] {
			if o.err != nil {
				t.Fatalf("append %d of writer %d: %v", i, w, o.err)
			}
			n := int(o.receipt.Changesets[0].Last-o.receipt.Changesets[0].First) + 1
			want += n
			repeated, err := direct.AppendAll(t.Context(), cutAppend(w, i, n))
			o.receipt.Repeated = true
			if err != nil || !reflect.DeepEqual(repeated, o.receipt) {
				t.Errorf("append %d of writer %d was answered with %+v, repeated with %+v (%v)", i, w, o.receipt, repeated, err)
			}
		}
	}
	log := records(t, direct.ReadLog(t.Context(), daybook.LogRead{}))
	if len(log) != want {
		t.Errorf("the log has %d records, %d were acknowledged", len(log), want)
	}
	// Reads go on where they were cut. A page has to pass.
	proxy.mu.Lock()
	proxy.most = 300_000
	proxy.mu.Unlock()
	for range 10 {
		if got := records(t, store.ReadLog(t.Context(), daybook.LogRead{})); !reflect.DeepEqual(got, log) {
			t.Fatalf("read through cuts the log has %d records, and is not what it is without: %d", len(got), len(log))
		}
	}
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	if proxy.cuts == 0 {
		t.Error("no connection was cut")
	}
	t.Logf("%d connections were cut", proxy.cuts)
}

// openThroughCuts opens a store as often as it takes: opening gives up at the
// first cut, since a wrong URL looks the same.
func openThroughCuts(t *testing.T, address string) *postgres.Driver {
	t.Helper()
	for {
		d, err := postgres.Open(t.Context(), address, nil)
		if err == nil {
			t.Cleanup(func() { _ = d.Close() })
			return d
		}
		if errors.Is(err, daybook.ErrRefused) {
			t.Fatal(err)
		}
	}
}

// cutAppend returns the ith append of a writer, always the same. Every other one
// is not plain.
func cutAppend(writer, i, events int) daybook.Append {
	id := daybook.ID{1, byte(writer), byte(i)}
	c := daybook.Changeset{Stream: daybook.Stream(fmt.Sprintf("account-%d", writer))}
	for range events {
		c.Events = append(c.Events, daybook.Event{Type: "deposited", Data: fmt.Appendf(nil, `{"pad":"%0500d"}`, i)})
	}
	if i%2 == 0 {
		c.Events[0].Tags, c.Metadata = []string{"tagged"}, []byte("metadata")
	}
	return daybook.Append{ID: id, Changesets: []daybook.Changeset{c}}
}
