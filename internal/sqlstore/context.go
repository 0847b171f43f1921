package sqlstore

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
)

// contextJSON is a Context in the column context, but for its metadata.
type contextJSON struct {
	Who         string     `json:"who,omitempty"`
	Why         *causeJSON `json:"why,omitempty"`
	Correlation string     `json:"correlation,omitempty"`
	Source      string     `json:"source,omitempty"`
	Commentary  string     `json:"commentary,omitempty"`
	Schema      string     `json:"schema,omitempty"`
}

type causeJSON struct {
	ID   string     `json:"id,omitempty"`
	What string     `json:"what,omitempty"`
	When *time.Time `json:"when,omitempty"`
	Who  string     `json:"who,omitempty"`
}

// ContextText returns the JSON of a context, its metadata left out; "" where
// nothing is left.
func ContextText(c *daybook.Context) string {
	about := contextJSON{Who: c.Who, Correlation: c.Correlation, Source: c.Source, Commentary: c.Commentary, Schema: c.Schema}
	if c.Why != nil {
		about.Why = &causeJSON{ID: c.Why.ID, What: c.Why.What, Who: c.Why.Who}
		if !c.Why.When.IsZero() {
			about.Why.When = &c.Why.When
		}
	}
	if about == (contextJSON{}) {
		return ""
	}
	return JSONText(about)
}

// ReadContext reads what ContextText has written.
func ReadContext(text []byte) (daybook.Context, error) {
	var about contextJSON
	if err := json.Unmarshal(text, &about); err != nil {
		return daybook.Context{}, err
	}
	c := daybook.Context{
		Who: about.Who, Correlation: about.Correlation, Source: about.Source, Commentary: about.Commentary, Schema: about.Schema,
	}
	if about.Why != nil {
		c.Why = &daybook.Cause{ID: about.Why.ID, What: about.Why.What, Who: about.Why.Who}
		if about.Why.When != nil {
			c.Why.When = about.Why.When.UTC()
		}
	}
	return c, nil
}

// JSONText writes a value that always can be written: of strings, numbers,
// bytes and times.
func JSONText(value any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	return b.String()
}
