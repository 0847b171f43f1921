package deciding

import (
	"runtime"
	"strings"
)

// Inside reports whether the caller was called by a function of this module
// whose name begins with one of these, such as "aggregate.(*machine[": that is,
// from a function that its user has given it, which should do nothing else. It
// walks the stack, so it is asked by those only who would have to wait.
func Inside(functions ...string) bool {
	const module = "github.com/daybook-go/daybook/"
	var pcs [64]uintptr
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		frames := runtime.CallersFrames(pcs[:n])
		for more := n > 0; more; {
			var frame runtime.Frame
			frame, more = frames.Next()
			name, ours := strings.CutPrefix(frame.Function, module)
			for _, function := range functions {
				if ours && strings.HasPrefix(name, function) {
					return true
				}
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}
