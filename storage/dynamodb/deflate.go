package dynamodb

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"sync"

	"github.com/daybook-go/daybook"
)

// deflaters are kept: each has tables of a megabyte.
var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed)
	return w
}}

// shorter returns content deflated, if that costs less: a write is billed by the
// begun kilobyte.
func shorter(content []byte) (kept []byte, deflated bool) {
	if len(content) < 1<<9 {
		return content, false
	}
	var b bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&b)
	_, err := w.Write(content)
	if closing := w.Close(); err != nil || closing != nil || b.Len() >= len(content) {
		return content, false
	}
	return b.Bytes(), true
}

// longer returns what was deflated. It is never larger than a page may be, and
// nothing that claims to be is believed.
func longer(kept []byte) ([]byte, error) {
	const most = 16 << 20
	content, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(kept)), most+1))
	if err != nil || len(content) > most {
		return nil, fmt.Errorf("dynamodb: %w: deflated content that cannot be read: %v", daybook.ErrCorrupt, err)
	}
	return content, nil
}
