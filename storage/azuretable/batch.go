package azuretable

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// batchReplyKey is the key of the *batchReply in the context of a batch.
type batchReplyKey struct{}

// batchReply is what is read out of the answer to a batch.
type batchReply struct {
	rows int
	tags []azcore.ETag // by row, where nothing was refused
}

// BatchError says that the service has carried out nothing of a batch.
type BatchError struct {
	Status  int    // of the row that was refused
	Code    string // "EntityAlreadyExists"
	Message string
	Row     int // the index of the row
}

func (e *BatchError) Error() string {
	return fmt.Sprintf("row %d of a batch: %d %s: %s", e.Row, e.Status, e.Code, e.Message)
}

// batchPolicy reads the answers to batches. The service answers 202 to a batch
// that it refused, and tells the truth in the body; the client of the SDK would
// report 202 as the error.
type batchPolicy struct{}

func (batchPolicy) Do(request *policy.Request) (*http.Response, error) {
	response, err := request.Next()
	reply := replyOf(request.Raw().Context())
	if err != nil || reply == nil || response.StatusCode != http.StatusAccepted {
		return response, err
	}
	body, err := runtime.Payload(response)
	if err != nil {
		return nil, fmt.Errorf("the answer to a batch is cut: %w", err)
	}
	if err := reply.read(response.Header.Get("Content-Type"), body); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

func replyOf(ctx context.Context) *batchReply {
	reply, _ := ctx.Value(batchReplyKey{}).(*batchReply)
	return reply
}

// errUnreadable says nothing of the outcome.
var errUnreadable = errors.New("the answer to a batch cannot be read")

// read takes an answer apart: a part in the answer, that is made of parts, one
// for each row; of a refused batch the one that was refused.
func (b *batchReply) read(contentType string, body []byte) error {
	outer, err := partsOf(contentType, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %v", errUnreadable, err)
	}
	part, err := outer.NextPart()
	if err != nil {
		return fmt.Errorf("%w: %v", errUnreadable, err)
	}
	rows, err := partsOf(part.Header.Get("Content-Type"), part)
	if err != nil {
		return fmt.Errorf("%w: %v", errUnreadable, err)
	}
	b.tags = nil
	for {
		row, err := rows.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %v", errUnreadable, err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(row), nil)
		if err != nil {
			return fmt.Errorf("%w: %v", errUnreadable, err)
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode >= 300 {
			return batchError(answer.StatusCode, text)
		}
		b.tags = append(b.tags, azcore.ETag(answer.Header.Get("ETag")))
	}
	if len(b.tags) != b.rows {
		return fmt.Errorf("%w: it tells of %d rows, %d were sent", errUnreadable, len(b.tags), b.rows)
	}
	return nil
}

func partsOf(contentType string, body io.Reader) (*multipart.Reader, error) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(kind, "multipart/") || parameters["boundary"] == "" {
		return nil, fmt.Errorf("it is %s", kind)
	}
	return multipart.NewReader(body, parameters["boundary"]), nil
}

// batchError reads why a batch was refused: a code, and a message in front of
// which the index of the row stands.
func batchError(status int, text []byte) error {
	var told struct {
		Error struct {
			Code    string `json:"code"`
			Message struct {
				Value string `json:"value"`
			} `json:"message"`
		} `json:"odata.error"`
	}
	_ = json.Unmarshal(text, &told) // what cannot be read is told as it is not
	e := &BatchError{Status: status, Code: told.Error.Code, Message: told.Error.Message.Value}
	e.Message, _, _ = strings.Cut(e.Message, "\n")
	if index, rest, found := strings.Cut(e.Message, ":"); found {
		if row, err := strconv.Atoi(index); err == nil {
			e.Row, e.Message = row, strings.TrimSpace(rest)
		}
	}
	return e
}
