package peer

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// seed returns the seed of a test that draws at random, and prints it.
func seed(t *testing.T) uint64 {
	t.Helper()
	value := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("DAYBOOK_SEED"), 10, 64); err == nil {
		value = given
	}
	t.Logf("DAYBOOK_SEED=%d", value)
	return value
}

func TestTheFileOfTheBoundHoldsExactlyWhatWasAcknowledged(t *testing.T) {
	const writers, appends = 32, 50
	start := seed(t)
	dir := t.TempDir()
	b, err := newBound(dir, 8<<20, false)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	written := map[uint64][][]byte{}
	var wg sync.WaitGroup
	for w := range writers {
		random := rand.New(rand.NewPCG(start, uint64(w)))
		wg.Go(func() {
			stream, version := fmt.Sprintf("account-%d", w), int64(1)
			for range appends {
				a := Append{Stream: stream, First: version}
				for range 1 + random.IntN(4) {
					data := make([]byte, 1+random.IntN(300))
					for i := range data {
						data[i] = byte(random.Uint32())
					}
					a.Events = append(a.Events, Event{Data: data})
				}
				if err := b.Append(t.Context(), a); err != nil {
					t.Error(err)
					return
				}
				version += int64(len(a.Events))
				mu.Lock()
				for _, event := range a.Events {
					written[streamHash(stream)] = append(written[streamHash(stream)], event.Data)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	position := int64(0)
	err = scanFrames(file, func(f frame) error {
		position++
		if f.position != position {
			t.Fatalf("position %d stands where %d should", f.position, position)
		}
		list := written[f.stream]
		if f.version > int64(len(list)) || !bytes.Equal(list[f.version-1], f.data) {
			t.Fatalf("position %d, version %d holds other bytes than were acknowledged", f.position, f.version)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, list := range written {
		total += len(list)
	}
	if position != int64(total) {
		t.Errorf("the file holds %d events, %d were acknowledged", position, total)
	}
}

func TestAChangedByteIsFoundByTheScan(t *testing.T) {
	position := int64(0)
	log := appendFrames(nil, &position, &Append{Stream: "account-1", First: 1, Events: []Event{{Data: []byte(`{"n":1}`)}, {Data: []byte(`{"n":2}`)}}})
	for i := range log {
		damaged := bytes.Clone(log)
		damaged[i] ^= 0x10
		err := scanFrames(bytes.NewReader(damaged), func(frame) error { return nil })
		if !errors.Is(err, errFrame) {
			t.Errorf("byte %d was changed: error %v, want a damaged frame", i, err)
		}
	}
}

func TestAFrameOf256BytesMakes304(t *testing.T) {
	if got := len(appendFrame(nil, 1, 1, 1, make([]byte, 256))); got != 304 {
		t.Errorf("a frame has %d bytes, want 304", got)
	}
}

func TestFramesLongerThanThePiecesTheyAreReadInAreReadWhole(t *testing.T) {
	var log []byte
	sizes := []int{1, 3 << 20, 200, 1 << 20, 17}
	position := int64(0)
	for i, size := range sizes {
		data := bytes.Repeat([]byte{byte(i + 1)}, size)
		log = appendFrames(log, &position, &Append{Stream: "long", First: int64(i + 1), Events: []Event{{Data: data}}})
	}
	log = append(log, make([]byte, 5000)...)
	var got []int
	if err := scanFrames(bytes.NewReader(log), func(f frame) error { got = append(got, len(f.data)); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(sizes) {
		t.Errorf("read frames of %v bytes, want %v", got, sizes)
	}
}

func TestTheBoundBeginsAgainAtTheStartWhenItsSpaceIsUsed(t *testing.T) {
	b, err := newBound(t.TempDir(), 64<<10, false)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for version := range int64(1000) {
		err := b.Append(t.Context(), Append{Stream: "account-1", First: version + 1, Events: []Event{{Data: make([]byte, 256)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	info, err := b.log.file.Stat()
	if err != nil || info.Size() != 64<<10 {
		t.Errorf("the file has %d bytes, want that it stays at %d (error %v)", info.Size(), 64<<10, err)
	}
	if err := b.ReadStream(t.Context(), "account-1", func(int64, []byte) error { return nil }); err == nil {
		t.Error("reading a log whose beginning was written over succeeded")
	}
}
