package httpapi_test

import (
	"net/http"
	"testing"
)

type checkedTransport struct {
	t    *testing.T
	next http.RoundTripper
}

func (c *checkedTransport) RoundTrip(r *http.Request) (*http.Response, error) { return c.next.RoundTrip(r) }
