package sqlstore

import (
	"errors"
	"testing"
)

func TestAListIsReadPageByPageUpToItsLimit(t *testing.T) {
	for _, limit := range []int{0, 1, listPage, listPage + 1, 2 * listPage, 10 * listPage} {
		const all = 2*listPage + 500
		at := 0
		page := func(limit int) (list []int, err error) {
			for n := at + 1; n <= min(at+limit, all); n++ {
				list = append(list, n)
			}
			return list, nil
		}
		want := all
		if limit > 0 {
			want = min(limit, all)
		}
		found := 0
		for n, err := range Listed(t.Context(), limit, page, func(n int) { at = n }) {
			if found++; err != nil || n != found {
				t.Fatalf("limit %d: number %d is %d, %v", limit, found, n, err)
			}
		}
		if found != want {
			t.Errorf("limit %d: %d, want %d", limit, found, want)
		}
	}
}

func TestAListEndsWithTheErrorOfAPage(t *testing.T) {
	broken := errors.New("broken")
	var got []error
	for _, err := range Listed(t.Context(), 0, func(int) ([]int, error) { return nil, broken }, func(int) {}) {
		got = append(got, err)
	}
	if len(got) != 1 || !errors.Is(got[0], broken) {
		t.Errorf("got %v", got)
	}
}
