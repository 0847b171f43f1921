package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/daybook-go/daybook"
)

func TestABatchIsNotLargerThanItMayBe(t *testing.T) {
	b := &Batch{}
	if !b.Take(&Entry{Append: one("large", daybook.ExpectAny()), Bytes: maxBytes + 1}) {
		t.Error("an append that is larger than a batch cannot be sent at all")
	}
	if b.Take(&Entry{Append: one("small", daybook.ExpectAny())}) {
		t.Error("a batch that is too large already takes in another append")
	}
	b = &Batch{}
	for i := range maxEntries + 1 {
		if taken := b.Take(&Entry{Append: one(fmt.Sprint("s", i), daybook.ExpectAny()), Events: 1}); taken != (i < maxEntries) {
			t.Fatalf("append %d is taken in: %t", i+1, taken)
		}
	}
}

func TestAnAppendThatIsGivenUpIsRefusedOnlyIfItWasNotSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, waits := range []bool{true, false} {
		_, err := NewEntry(one("a", daybook.ExpectAny())).Await(ctx, "test", func(*Entry) bool { return waits })
		if !errors.Is(err, context.Canceled) || errors.Is(err, daybook.ErrRefused) != waits {
			t.Errorf("still in the queue: %t: %v", waits, err)
		}
	}
	e := NewEntry(one("a", daybook.ExpectAny()))
	e.Receipt.AppendID = e.Append.ID
	close(e.Done)
	if receipt, err := e.Await(ctx, "test", func(*Entry) bool { return false }); err != nil || receipt.AppendID != e.Append.ID {
		t.Errorf("one that is stored gets %+v, %v", receipt, err)
	}
}
