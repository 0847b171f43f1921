package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// timeLayout writes times for people, all of one width.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// columns says how a line shows a record's place.
type columns int

const (
	streamColumns columns = iota // version
	logColumns                   // position, stream and version
)

// recordLines writes records, each on a line, for people.
type recordLines struct {
	out     io.Writer
	columns columns
	width   int // of the terminal, in characters; 0 is no bound
}

func newLines(out io.Writer, columns columns) *recordLines {
	return &recordLines{out: out, columns: columns, width: widthOf(out)}
}

// widthOf returns how wide the terminal behind out is; 0 where it is none.
func widthOf(out io.Writer) int {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

func (l *recordLines) write(r *daybook.Record) {
	place := fmt.Sprintf("%6d", r.Version)
	if l.columns == logColumns {
		place = fmt.Sprintf("%8d", r.Position)
	}
	line := place + "  " + r.RecordedAt.Format(timeLayout)
	if l.columns == logColumns {
		line += fmt.Sprintf("  %-24s", printable(r.Stream.String())+" "+strconv.FormatInt(int64(r.Version), 10))
	}
	line += fmt.Sprintf("  %-16s  %s", printable(r.Type), summary(r))
	fmt.Fprintln(l.out, cut(strings.TrimRight(line, " "), l.width))
}

// summary shows data, tags and who on one line.
func summary(r *daybook.Record) string {
	var parts []string
	switch data := r.Data; {
	case len(data) == 0:
	case !utf8.Valid(data):
		parts = append(parts, fmt.Sprintf("(%d bytes of %s)", len(data), printable(r.ContentType)))
	case wire.IsJSON(r.ContentType) && json.Valid(data):
		var compact bytes.Buffer
		_ = json.Compact(&compact, data) // it is valid
		parts = append(parts, printable(compact.String()))
	default:
		parts = append(parts, printable(string(data)))
	}
	for _, tag := range r.Tags {
		parts = append(parts, "#"+printable(tag))
	}
	if r.Context.Who != "" {
		parts = append(parts, "by "+printable(r.Context.Who))
	}
	return strings.Join(parts, "  ")
}

// printable returns text with its control characters escaped: what a stranger
// stored must not steer the terminal.
func printable(text string) string {
	strange := func(r rune) bool { return !unicode.IsGraphic(r) || r == utf8.RuneError }
	if strings.IndexFunc(text, strange) < 0 {
		return text
	}
	quoted := strconv.QuoteToGraphic(text)
	return strings.ReplaceAll(strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`), `\\`, `\`)
}

// cut shortens a line to the width of the terminal.
func cut(line string, width int) string {
	if width <= 1 || utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width-1]) + "…"
}

// valid returns text as JSON can carry it.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// recordWriter writes records as the user wants them: lines or JSON.
type recordWriter struct {
	out   *bufio.Writer
	lines *recordLines // nil for JSON
	json  []byte
}

func (p *program) recordWriter(columns columns) *recordWriter {
	w := &recordWriter{out: bufio.NewWriterSize(p.stdout, 64<<10)}
	if !p.json {
		w.lines = &recordLines{out: w.out, columns: columns, width: widthOf(p.stdout)}
	}
	return w
}

func (w *recordWriter) write(r *daybook.Record) error {
	if w.lines != nil {
		w.lines.write(r)
		return nil // the buffer keeps the error for flush
	}
	w.json = append(wire.AppendRecord(w.json[:0], r), '\n')
	_, err := w.out.Write(w.json)
	return err
}

func (w *recordWriter) flush() error { return w.out.Flush() }
