package azureblob_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azureblob"
)

const (
	stageBlock = "PUT block"
	commitBlob = "PUT blocklist"
)

func TestWhoRollsOverCompactsInTheBackground(t *testing.T) {
	const limit = 3
	g := newGate(serviceURL(t), limit)
	p := proxyTo(t, g)
	name := freshContainer()
	options := azureblob.WithBlocks(*patient(), limit)
	options.Compact = true
	store := daybook.New(open(t, addressAt(p.url, name), options), nil)
	client := bare(t, g.service, name)
	n := 0
	for full := range 3 {
		made := make(chan struct{})
		p.onCue(once(commitBlob, fault{after: func() { close(made) }}))
		for ; n < (full+1)*limit+1; n++ {
			appendTo(t, store, n)
		}
		<-made
		var want []byte
		for blob := range full + 1 {
			want = append(want, bytesIn(t, client, fmt.Sprintf("events.%05d", blob))...)
		}
		if got := bytesIn(t, client, fmt.Sprintf("events.%05d.compact", full)); !bytes.Equal(got, want) {
			t.Errorf("behind %d full blobs the compacted one has %d bytes, they have %d", full+1, len(got), len(want))
		}
	}
	p.onCue(nil)
	holds(t, daybook.New(open(t, addressAt(p.url, name), options), nil), n)
}

func TestWhoMayNotCompactGoesOnInSilence(t *testing.T) {
	const limit = 2
	p := proxyTo(t, newGate(serviceURL(t), limit))
	var heard lines
	options := azureblob.WithBlocks(*patient(), limit)
	options.Compact, options.Logger = true, slog.New(slog.NewTextHandler(&heard, nil))
	store := daybook.New(open(t, addressAt(p.url, freshContainer()), options), nil)
	p.onCue(func(kind string, _ int) fault {
		if kind == stageBlock || kind == commitBlob {
			return fault{status: 403, code: "AuthorizationPermissionMismatch"}
		}
		return fault{}
	})
	for n := range 3 * limit {
		appendTo(t, store, n)
	}
	holds(t, store, 3*limit)
	if err := store.Close(); err != nil { // it waits for the background
		t.Fatal(err)
	}
	if text := heard.String(); text != "" || p.counted()[stageBlock] == 0 {
		t.Errorf("%d blocks were tried, and it is told: %s", p.counted()[stageBlock], text)
	}
}

func TestCloseEndsACompactionInTheBackground(t *testing.T) {
	const limit = 2
	p := proxyTo(t, newGate(serviceURL(t), limit))
	var heard lines
	options := azureblob.WithBlocks(*patient(), limit)
	options.Compact, options.Logger = true, slog.New(slog.NewTextHandler(&heard, nil))
	store := daybook.New(open(t, addressAt(p.url, freshContainer()), options), nil)
	begun, end := make(chan struct{}), make(chan struct{})
	p.onCue(once(stageBlock, fault{before: func() { close(begun); <-end }}))
	for n := range limit + 1 {
		appendTo(t, store, n)
	}
	<-begun
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	close(end)
	if text := heard.String(); strings.Contains(text, "compacted") || p.counted()[commitBlob] > 0 {
		t.Errorf("%v, and it is told: %s", p.counted(), text)
	}
}

// lines is where a log is written to by several goroutines.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lines) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
