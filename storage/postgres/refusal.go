package postgres

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// refusal says why the function append did not store an append. Which fields
// count hangs on why.
type refusal struct {
	Append    int       `json:"append"` // counted from 1
	Why       string    `json:"why"`
	Changeset int       `json:"changeset"` // of the batch, counted from 1: which one is refused
	Head      *headJSON `json:"head"`      // conflict; null for a stream that never was
	Position  int64     `json:"position"`  // condition
	Partition string    `json:"partition"` // reference
	Name      string    `json:"name"`
	Kind      string    `json:"kind"` // claim
	Value     string    `json:"value"`
	Holder    string    `json:"holder"`
	Found     string    `json:"found"` // transaction: its isolation level
}

// headJSON is a row of the function head.
type headJSON struct {
	Version    int64     `json:"version"`
	Changeset  int64     `json:"changeset"`
	First      int64     `json:"first"`
	Position   int64     `json:"position"`
	RecordedAt time.Time `json:"recorded_at"`
}

func (h *headJSON) head() daybook.Head {
	if h == nil {
		return daybook.Head{}
	}
	return daybook.Head{
		Version: daybook.Version(h.Version), Changeset: daybook.ChangesetNumber(h.Changeset), First: daybook.Version(h.First),
		Position: daybook.Position(h.Position), RecordedAt: h.RecordedAt.UTC(),
	}
}

// refusals reads what was refused, by the index of the append.
func refusals(text []byte) (map[int]refusal, error) {
	var list []refusal
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, nil
	}
	refused := make(map[int]refusal, len(list))
	for _, r := range list {
		refused[r.Append] = r
	}
	return refused, nil
}

// err returns the error for the append whose first changeset is that one of
// the batch.
func (r *refusal) err(a *daybook.Append, first int) error {
	if r.Why == "condition" {
		return &daybook.ConditionError{Condition: *a.Condition, Found: daybook.Position(r.Position)}
	}
	n := r.Changeset - first
	if n < 0 || n >= len(a.Changesets) {
		return fmt.Errorf("postgres: the server's answer is not understood, the outcome is unknown: %q of changeset %d", r.Why, r.Changeset)
	}
	c := &a.Changesets[n]
	switch r.Why {
	case "conflict":
		return &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: r.Head.head()}
	case "reference":
		return &daybook.ReferenceError{Stream: c.Stream, Reference: daybook.StreamID{Partition: r.Partition, Name: r.Name}}
	case "claim":
		return &daybook.ClaimError{
			Stream: c.Stream, Claim: daybook.Claim{Kind: r.Kind, Value: r.Value},
			Holder: daybook.StreamID{Partition: c.Stream.Partition, Name: r.Holder},
		}
	}
	return fmt.Errorf("postgres: the server's answer is not understood, the outcome is unknown: %q", r.Why)
}
