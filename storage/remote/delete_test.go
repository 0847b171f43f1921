package remote_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/remote"
)

func TestDeletionWhoseReplyIsLostTakesNothingTwice(t *testing.T) {
	stream := daybook.Stream("account-1")
	var server *wayward
	server = newServer(t, func(n int64, _ http.ResponseWriter, r *http.Request, api http.Handler) bool {
		if r.Method != http.MethodDelete || n > 3 {
			return false
		}
		defer func() { // what comes between the tries stays
			if _, err := server.store.Append(r.Context(), stream, daybook.ExpectAny(), opened); err != nil {
				t.Error(err)
			}
			hangUp()
		}()
		applyAndHangUp(r, api)
		return true
	})
	if _, err := server.store.Append(t.Context(), stream, daybook.ExpectNone(), opened, opened); err != nil {
		t.Fatal(err)
	}
	store := daybook.New(server.open(t, remote.Options{}), nil)
	receipt, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: stream})
	if err != nil || !receipt.Repeated || receipt.Through != 2 || receipt.Records != 2 {
		t.Errorf("receipt %+v, want the original one, repeated; error %v", receipt, err)
	}
	if n := len(records(t, server.store)); n != 3 {
		t.Errorf("%d records are left, want the 3 that came between the tries", n)
	}
}

func TestDeletionThatIsNeverAnsweredHasAnUnknownOutcome(t *testing.T) {
	server := newServer(t, func(int64, http.ResponseWriter, *http.Request, http.Handler) bool { hangUp(); return true })
	_, err := server.open(t, remote.Options{Retries: 1}).DeleteStream(t.Context(), daybook.Deletion{ID: daybook.NewID(), Stream: daybook.Stream("a")})
	var lost *remote.UnreachableError
	if !errors.As(err, &lost) || errors.Is(err, daybook.ErrRefused) {
		t.Errorf("error %v, want an *UnreachableError that leaves the outcome open", err)
	}
}

func TestReadingDeletionsThatIsCutGoesOnWhereItWasCut(t *testing.T) {
	server := newServer(t, cutting(700)) // about two deletions
	for range 9 {
		if _, err := server.store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("a")}); err != nil {
			t.Fatal(err)
		}
	}
	var read []daybook.DeletionNumber
	for d, err := range server.open(t, remote.Options{}).ReadDeletions(t.Context(), daybook.DeletionRead{Limit: 8}) {
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, d.Receipt.Number)
	}
	if server.requests.Load() < 3 {
		t.Errorf("only %d requests: nothing was cut", server.requests.Load())
	}
	if len(read) != 8 || read[0] != 1 || read[7] != 8 {
		t.Errorf("read were %v, want 1 to 8", read)
	}
}
