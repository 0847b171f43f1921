package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
)

// The shape of a line that daybook import takes; docs/http.md draws it.
type record struct {
	Position   daybook.Position `json:"position"`
	Stream     string           `json:"stream_id"`
	Version    daybook.Version  `json:"version"`
	RecordedAt time.Time        `json:"recorded_at"`
	ID         daybook.ID       `json:"id"`
	Type       string           `json:"type"`
	Tags       []string         `json:"tags"`
	OccurredAt time.Time        `json:"occurred_at"`
	Context    eventContext     `json:"context"`
	Data       data             `json:"data"`
	Changeset  changeset        `json:"changeset"`
}

type eventContext struct {
	Who         string `json:"who"`
	Correlation string `json:"correlation"`
	Source      string `json:"source"`
	Commentary  string `json:"commentary,omitempty"`
}

type data struct {
	Commit       string `json:"commit"`
	Author       string `json:"author"`
	Path         string `json:"path"`
	From         string `json:"from,omitempty"`
	To           string `json:"to,omitempty"`
	LinesAdded   int    `json:"lines_added"`
	LinesDeleted int    `json:"lines_deleted"`
}

type changeset struct {
	Number     daybook.ChangesetNumber `json:"number"`
	Ordinal    daybook.Ordinal         `json:"ordinal"`
	First      daybook.Version         `json:"first"`
	Count      int                     `json:"count"`
	AppendID   daybook.ID              `json:"append_id"`
	References []reference             `json:"references,omitempty"`
}

type reference struct {
	Stream string `json:"stream_id"`
}

// writer numbers what it writes as a store would: positions and ordinals in
// the log, versions and changesets in each stream.
type writer struct {
	out      *json.Encoder
	position daybook.Position
	ordinal  daybook.Ordinal
	latest   time.Time // recorded times never fall, the clocks of committers do
	heads    map[string]daybook.Head
}

func newWriter(out io.Writer) *writer {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return &writer{out: encoder, heads: map[string]daybook.Head{}}
}

// file is what a commit does to one file: most often one event.
type file struct {
	stream string
	events []event
	refers []reference
}

type event struct {
	kind string
	data data
}

// write writes a commit as one append.
func (w *writer) write(c commit) error {
	if c.committedAt.After(w.latest) {
		w.latest = c.committedAt
	}
	number := 0
	for _, f := range files(c) {
		w.ordinal++
		head := w.heads[f.stream]
		header := changeset{
			Number: head.Changeset + 1, Ordinal: w.ordinal, First: head.Version + 1, Count: len(f.events),
			AppendID: daybook.IDOf(c.hash), References: f.refers,
		}
		for i, e := range f.events {
			w.position++
			number++
			line := record{
				Position: w.position, Stream: f.stream, Version: header.First + daybook.Version(i), RecordedAt: w.latest,
				ID: daybook.IDOf(c.hash + " " + strconv.Itoa(number)), Type: e.kind, Tags: tags(c), OccurredAt: c.authoredAt,
				Context: eventContext{Who: short(c.author), Correlation: c.hash, Source: "git", Commentary: short(c.subject)},
				Data:    e.data, Changeset: header,
			}
			if err := w.out.Encode(line); err != nil {
				return err
			}
		}
		w.heads[f.stream] = daybook.Head{Changeset: header.Number, Version: head.Version + daybook.Version(len(f.events))}
	}
	return nil
}

// files gathers the changes of a commit by stream: one changeset for each.
func files(c commit) []*file {
	var all []*file
	byStream := map[string]*file{}
	of := func(path string) *file {
		name := stream(path)
		f := byStream[name]
		if f == nil {
			f = &file{stream: name}
			byStream[name] = f
			all = append(all, f)
		}
		return f
	}
	for _, change := range c.changes {
		d := data{Commit: c.hash, Author: c.author, Path: text(change.path), LinesAdded: change.added, LinesDeleted: change.deleted}
		var refers []reference
		if change.from != "" {
			old := of(change.from)
			old.events = append(old.events, event{change.kind, data{Commit: c.hash, Author: c.author, Path: text(change.from), To: text(change.path)}})
			d.From = text(change.from)
			refers = append(refers, reference{old.stream})
		}
		f := of(change.path)
		f.refers = append(f.refers, refers...)
		f.events = append(f.events, event{change.kind, d})
	}
	return all
}

// stream names the stream of a file. Paths are any bytes to git, names are
// text of a bounded length to a store.
func stream(path string) string {
	if !utf8.ValidString(path) {
		path = strconv.QuoteToASCII(path)
	}
	name := "file-" + path
	if len(name) > daybook.MaxNameLen {
		id := daybook.IDOf(path).String()
		name = text(name[:daybook.MaxNameLen-len(id)-3]) + " " + id
	}
	return name
}

// tags are what the log can be asked for: the commit, and who wrote it.
func tags(c commit) []string {
	all := []string{"commit:" + c.hash}
	if author := "author:" + c.email; len(author) <= daybook.MaxTagLen {
		all = append(all, author)
	}
	return all
}

// short cuts a text that is longer than a store takes.
func short(s string) string {
	if len(s) <= daybook.MaxTextLen {
		return s
	}
	const mark = "..."
	return fmt.Sprint(text(s[:daybook.MaxTextLen-len(mark)-2]), mark)
}
