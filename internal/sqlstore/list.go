package sqlstore

import (
	"context"
	"iter"
)

// listPage is how many streams, or deletions, are read at once.
const listPage = 1000

// Listed returns what a list has, read page by page; limit is how many at most,
// 0 is no limit. page reads so many behind those that passed has been told of.
func Listed[T any](ctx context.Context, limit int, page func(limit int) ([]T, error), passed func(T)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for left := limit; ; {
			size := listPage
			if limit > 0 {
				size = min(size, left)
			}
			list, err := page(size)
			if err != nil {
				yield(none, err)
				return
			}
			for _, each := range list {
				if err := ctx.Err(); err != nil {
					yield(none, err)
					return
				}
				if !yield(each, nil) {
					return
				}
				passed(each)
			}
			if left -= len(list); len(list) < size || limit > 0 && left == 0 {
				return
			}
		}
	}
}
