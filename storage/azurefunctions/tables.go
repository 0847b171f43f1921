package azurefunctions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/daybook-go/daybook"
)

// A table holds the entities of one type: "Account00Bank" for type Account of
// domain Bank, without what a name of a table cannot have. Each entity is a
// partition, by its key. Its rows are its events, by their numbers with ten
// digits; the first row, number 0, is the key row. It names domain, type and key
// in full. A partition "INDEX-CARD" lists the entities; nothing there is needed.

const (
	keyRow    = "0000000000"
	indexCard = "INDEX-CARD"
)

// tables reads the tables of an account.
type tables struct {
	client *aztables.ServiceClient
	domain string // "" for all
	into   *events
}

func (t *tables) read(ctx context.Context) error {
	pager := t.client.NewListTablesPager(nil)
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return explained(err)
		}
		for _, table := range page.Tables {
			if !t.mayHold(*table.Name) {
				continue
			}
			if err := t.readTable(ctx, *table.Name); err != nil {
				return fmt.Errorf("%s: %w", *table.Name, err)
			}
		}
	}
	return nil
}

// removed are the characters that a domain loses in the name of a table.
const removed = " !,.;':@£$%^&*()-+=/\\#~{}[]?<>_"

// maxTableName is how long a name of a table is that was cut: what is lost was
// replaced by a number.
const maxTableName = 63

// mayHold reports whether the name of a table can be one of the domain.
func (t *tables) mayHold(name string) bool {
	domain := strings.Map(func(r rune) rune {
		if strings.ContainsRune(removed, r) {
			return -1
		}
		return r
	}, t.domain)
	return t.domain == "" || strings.HasSuffix(strings.ToLower(name), strings.ToLower("00"+domain)) || len(name) == maxTableName
}

// readTable reads a table, if it is one of the library.
func (t *tables) readTable(ctx context.Context, name string) error {
	client := t.client.NewClient(name)
	kind, err := t.kindOf(ctx, client)
	if err != nil || kind == nil {
		return err
	}
	e := &entityReader{tables: t, table: name, kind: kind}
	pager := client.NewListEntitiesPager(nil)
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return explained(err)
		}
		for _, encoded := range page.Entities {
			r, err := parseRow(encoded)
			if err == nil {
				err = e.row(r)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// kindOf returns the first key row of a table; nil if there is none, so that it
// is no table of the library.
func (t *tables) kindOf(ctx context.Context, client *aztables.Client) (*row, error) {
	filter, top := "RowKey eq '"+keyRow+"'", int32(1)
	pager := client.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter, Top: &top})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		var refused *azcore.ResponseError
		if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound {
			return nil, nil // it was removed since it was listed
		}
		if err != nil {
			return nil, explained(err)
		}
		for _, encoded := range page.Entities {
			r, err := parseRow(encoded)
			if err != nil {
				return nil, err
			}
			if r.text("DomainName") != "" && r.text("EntityTypeName") != "" {
				return r, nil
			}
			return nil, nil
		}
	}
	return nil, nil
}

// entityReader reads the rows of a table, entity by entity.
type entityReader struct {
	*tables
	table  string
	kind   *row // a key row of the table: names what has none
	key    string
	begun  bool
	passed bool // the entity is of another domain, or is being deleted
	stream *stream
}

// row takes in the next row of the table.
func (e *entityReader) row(r *row) error {
	if r.partition == indexCard && r.key != keyRow && r.text("EventType") == "" {
		return nil
	}
	if !e.begun || r.partition != e.key {
		e.begun, e.key = true, r.partition
		if err := e.begin(r); err != nil {
			return err
		}
	}
	if e.passed || r.key == keyRow {
		return nil
	}
	sequence, err := strconv.ParseInt(r.key, 10, 64)
	if err != nil || len(r.key) != len(keyRow) || sequence < 1 {
		return &daybook.CorruptError{File: "table " + e.table, Reason: fmt.Sprintf("entity %q has a row %q, which is no number of an event", r.partition, r.key)}
	}
	data, err := r.data()
	if err != nil {
		return err
	}
	return e.into.add(e.stream, &event{
		Type: r.text("EventType"), Data: data, OccurredAt: r.at, Number: sequence, Sequence: sequence, Version: r.number("Version"),
		Who: r.text("ContextWho"), Source: r.text("ContextSource"), Commentary: r.text("ContextCommentary"), Schema: r.text("ContextSchema"),
		Correlation: r.text("CorrelationIdentifier"), Causation: r.text("CausationIdentifier"),
	})
}

// begin opens the entity that a row begins: its key row, unless that is lost.
func (e *entityReader) begin(r *row) error {
	domain, kind, key := e.kind.text("DomainName"), e.kind.text("EntityTypeName"), r.partition
	e.passed = false
	if r.key == keyRow {
		if own := r.text("DomainName"); own != "" {
			domain = own
		}
		if own := r.text("EntityTypeName"); own != "" {
			kind = own
		}
		if own := r.text("InstanceKey"); own != "" {
			key = own // in full, where the partition has it cut
		}
		e.passed = string(r.values["Deleting"]) == "true"
	}
	if e.domain != "" && domain != e.domain {
		e.passed = true
	}
	if e.passed {
		return nil
	}
	var err error
	e.stream, err = e.into.entity(domain, kind, key, "table "+e.table)
	return err
}

// row is a row of a table as the service writes it.
type row struct {
	partition, key string
	at             time.Time
	values         map[string]json.RawMessage // of its columns, without those of the service
	types          map[string]string          // of columns, where they are told
}

func parseRow(encoded []byte) (*row, error) {
	r := &row{types: map[string]string{}}
	if err := json.Unmarshal(encoded, &r.values); err != nil {
		return nil, err
	}
	var err error
	r.partition, r.key = r.text("PartitionKey"), r.text("RowKey")
	if r.at, err = time.Parse(time.RFC3339Nano, r.text("Timestamp")); err != nil {
		return nil, fmt.Errorf("row %q of %q: %w", r.key, r.partition, err)
	}
	for name := range r.values {
		column, told := strings.CutSuffix(name, "@odata.type")
		if told {
			r.types[column] = r.text(name)
		}
		if told || strings.HasPrefix(name, "odata.") || name == "PartitionKey" || name == "RowKey" || name == "Timestamp" {
			delete(r.values, name)
		}
	}
	return r, nil
}

// text returns a column that holds a text; "" where it is none.
func (r *row) text(column string) string {
	var text string
	if json.Unmarshal(r.values[column], &text) != nil {
		return ""
	}
	return text
}

func (r *row) number(column string) int64 {
	var number int64
	if json.Unmarshal(r.values[column], &number) != nil {
		return 0
	}
	return number
}

// contextColumns are those that are not of the event itself.
var contextColumns = []string{
	"eventtype", "version", "contextcommentary", "contextwho", "contextsource", "contextschema", "correlationidentifier", "causationidentifier",
}

// data returns the columns of the event as a JSON object, by their names.
func (r *row) data() ([]byte, error) {
	var names []string
	for name := range r.values {
		if !slices.Contains(contextColumns, strings.ToLower(name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := bytes.NewBufferString("{")
	for i, name := range names {
		if i > 0 {
			out.WriteByte(',')
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out.Write(quoted)
		out.WriteByte(':')
		value := r.values[name]
		if r.types[name] == "Edm.Int64" { // the service writes it as a text
			number, err := strconv.ParseInt(r.text(name), 10, 64)
			if err != nil {
				return nil, &daybook.CorruptError{File: "table", Reason: fmt.Sprintf("row %q of %q: column %s is no whole number", r.key, r.partition, name)}
			}
			value = strconv.AppendInt(nil, number, 10)
		}
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}
