package globalorder_test

import (
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
	"github.com/daybook-go/daybook/storage/storagetest"
)

func TestEngineKeepsEveryPromise(t *testing.T) {
	storagetest.RunDurable(t, func(*testing.T) (daybook.Driver, func() daybook.Driver) {
		storage := newTable()
		open := func() daybook.Driver {
			return globalorder.New("table", storage, &globalorder.Options{Gap: 5, Poll: time.Millisecond})
		}
		return open(), open
	})
}
