package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
)

// commit is a commit as git log tells it.
type commit struct {
	hash        string
	author      string // "Ann <ann@example.org>"
	email       string
	authoredAt  time.Time
	committedAt time.Time
	subject     string
	changes     []change
}

// change is what a commit does to a file.
type change struct {
	kind    string // an event type: added, modified, deleted or renamed
	path    string
	from    string // the old path, of a rename
	added   int    // lines; 0 of a binary file
	deleted int
}

// logArguments have git tell the commits, parents first, each as fields that
// end with NUL: a header, then an entry ":..." and a path for each file, then
// the numbers of lines.
var logArguments = []string{
	"log", "--reverse", "--topo-order", "-z", "-M", "--cc", "--raw", "--numstat", "--no-abbrev", "--no-color",
	"--format=%x01%H%x00%an%x00%ae%x00%aI%x00%cI%x00%s",
}

// commits parses what git tells.
func commits(in io.Reader) iter.Seq2[commit, error] {
	return func(yield func(commit, error) bool) {
		p := &parser{fields: bufio.NewScanner(in)}
		p.fields.Buffer(nil, 1<<20)
		p.fields.Split(splitNUL)
		var open *commit
		for {
			field, more := p.next()
			field = strings.TrimPrefix(field, "\n")
			begins := strings.HasPrefix(field, "\x01")
			if (begins || !more) && open != nil && p.err == nil {
				p.settle(open)
				if !yield(*open, nil) {
					return
				}
			}
			switch {
			case p.err != nil:
				yield(commit{}, fmt.Errorf("git log: %w", p.err))
				return
			case !more:
				return
			case begins:
				open = p.header(field[1:])
			case open == nil:
				p.fail("begins with %q", field)
			case strings.HasPrefix(field, ":"):
				open.changes = append(open.changes, p.entry(field))
			case field != "":
				p.count(field)
			}
		}
	}
}

func splitNUL(data []byte, atEnd bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEnd && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// parser reads fields and keeps the first error.
type parser struct {
	fields *bufio.Scanner
	lines  map[string]numbers // by path, of the commit that is being read
	err    error
}

// numbers are of lines.
type numbers struct{ added, deleted int }

func (p *parser) next() (string, bool) {
	if p.fields.Scan() {
		return p.fields.Text(), true
	}
	if p.err == nil {
		p.err = p.fields.Err()
	}
	return "", false
}

// must is next where a field has to follow.
func (p *parser) must() string {
	field, more := p.next()
	if !more {
		p.fail("ends too early")
	}
	return field
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *parser) time(field string) time.Time {
	t, err := time.Parse(time.RFC3339, field)
	if err != nil {
		p.fail("%w", err)
	}
	return t.UTC()
}

func (p *parser) header(hash string) *commit {
	p.lines = map[string]numbers{}
	c := &commit{hash: hash}
	name := text(p.must())
	c.email = text(p.must())
	c.author = name + " <" + c.email + ">"
	c.authoredAt, c.committedAt = p.time(p.must()), p.time(p.must())
	c.subject = text(p.must())
	return c
}

// entry reads ":100644 100644 <hash> <hash> M", and the path behind it. A
// merge has a colon, a mode, a hash and a letter more for each parent.
func (p *parser) entry(field string) change {
	status := field[strings.LastIndexByte(field, ' ')+1:]
	parents := len(field) - len(strings.TrimLeft(field, ":"))
	c := change{path: p.must(), kind: "modified"}
	switch {
	case parents == 1 && strings.HasPrefix(status, "R"):
		c.kind, c.from, c.path = "renamed", c.path, p.must()
	case strings.Trim(status, "A") == "":
		c.kind = "added"
	case strings.Trim(status, "D") == "":
		c.kind = "deleted"
	}
	return c
}

// count reads "12<tab>3<tab>path"; of a rename the paths follow as fields.
func (p *parser) count(field string) {
	parts := strings.SplitN(field, "\t", 3)
	if len(parts) != 3 {
		p.fail("has %q where the numbers of lines should be", field)
		return
	}
	path := parts[2]
	if path == "" {
		p.must()
		path = p.must()
	}
	added, _ := strconv.Atoi(parts[0]) // "-" of a binary file is 0
	deleted, _ := strconv.Atoi(parts[1])
	p.lines[path] = numbers{added, deleted}
}

// settle gives the changes of a commit their numbers of lines, which git tells
// behind the entries, of a merge before them.
func (p *parser) settle(c *commit) {
	for i := range c.changes {
		n := p.lines[c.changes[i].path]
		c.changes[i].added, c.changes[i].deleted = n.added, n.deleted
	}
}

// text returns what git stores in any encoding as valid text.
func text(field string) string { return strings.ToValidUTF8(field, "\uFFFD") }
