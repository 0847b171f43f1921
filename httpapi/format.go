package httpapi

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/daybook-go/daybook"
)

// The media types that records can be had in.
const (
	formatJSON   = "application/json"
	formatNDJSON = "application/x-ndjson"
	formatSSE    = "text/event-stream"
)

// formatNames are the words of the parameter format.
var formatNames = map[string]string{"json": formatJSON, "ndjson": formatNDJSON, "sse": formatSSE}

// recordFormat returns the media type in which the request wants records. What
// does not end is not offered where replies leave as a whole.
func (x *exchange) recordFormat() (string, error) {
	if x.handler.options.WholeReplies {
		return x.format(formatJSON, formatNDJSON)
	}
	return x.format(formatJSON, formatNDJSON, formatSSE)
}

// format returns which of the offered media types the request wants: the one
// that the parameter format names, else the one that the header Accept likes
// best, else the first.
func (x *exchange) format(offered ...string) (string, error) {
	if word := x.query.Get("format"); word != "" {
		format, known := formatNames[word]
		if !known || !slices.Contains(offered, format) {
			return "", &daybook.InvalidError{Field: "format", Value: quoted(word), Reason: "must be one of " + words(offered)}
		}
		return format, nil
	}
	accept := strings.Join(x.request.Header.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return offered[0], nil
	}
	best, liked := "", 0.0
	for _, format := range offered {
		if q := quality(accept, format); q > liked {
			best, liked = format, q
		}
	}
	if best == "" {
		return "", &problem{status: http.StatusNotAcceptable, code: "NOT_ACCEPTABLE", message: "this path offers " + strings.Join(offered, ", ")}
	}
	return best, nil
}

// quality returns how much an Accept header likes a media type, from 0 to 1;
// the most specific range that covers it decides.
func quality(accept, format string) float64 {
	kind, _, _ := strings.Cut(format, "/")
	decided, q := -1, 0.0
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		specific := slices.Index([]string{"*/*", kind + "/*", format}, media)
		if err != nil || specific < 0 || specific <= decided {
			continue
		}
		decided, q = specific, 1
		if given, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = given
		}
	}
	return q
}

// words returns the words of the parameter format for media types.
func words(offered []string) string {
	var names []string
	for name, format := range formatNames {
		if slices.Contains(offered, format) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
