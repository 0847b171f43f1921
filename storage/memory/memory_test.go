package memory_test

import (
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/storagetest"
)

func TestMemoryKeepsEveryPromise(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) daybook.Driver { return memory.New(nil) })
}
