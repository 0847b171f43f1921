package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
)

// importFlags are the flags of the import subcommand.
type importFlags struct {
	from       string
	appendOnly bool
}

func (p *program) importCommand() *cobra.Command {
	var f importFlags
	command := &cobra.Command{
		Use:     "import",
		GroupID: "move",
		Short:   "Take in a log that was exported, or that of another store",
		Long: `Takes in records as daybook export writes them, one JSON object a line, or with
--from URL those of another store, on any storage. All is kept: ids, versions,
positions, times. What the store has already is compared and passed over, so an
import that was cut is simply run again, and so is one of a file, or store, that
has grown. Where the store has other records at the same positions nothing is
taken in: exit code 3.

With --append the records are appended at the end of the log instead, with new
versions, positions and recorded times, but with the ids of their appends: what
was appended before is not appended twice.

When all is taken in, the store is read again and counted. Two stores are read
side by side instead: every record and the head of every stream must be the same
in both, and neither may have one that the other has not. Of deletions nothing is
taken over: not that they were made, not the ids of the appends that are gone, nor
claims of changesets that are. What another library has written is read in an
order of its own first: docs/azure.md says which.`,
		Example: `  daybook import --from log.ndjson --store file:copy
  daybook import --from file:daybook-data --store postgres://db.example.org/shop
  daybook import --from "azuretable-functions:$ACCOUNT;Domain=Bank" --store file:bank
  daybook export --store http://old:7070 | daybook import --store file:new
  daybook import --from other.ndjson --append`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error { return p.importLog(command.Context(), f) },
	}
	flags := command.Flags()
	flags.StringVar(&f.from, "from", "", "the file, or the URL of the store, to read (default standard input)")
	flags.BoolVar(&f.appendOnly, "append", false, "append at the end of the log, with new positions")
	return command
}

func (p *program) importLog(ctx context.Context, f importFlags) error {
	if isStore(f.from) {
		return p.withStore(ctx, f.from, reading, func(from *daybook.Store) error {
			end, err := from.End(ctx)
			if err != nil {
				return err
			}
			return p.importFrom(ctx, &storeSource{name: shown(f.from), store: from, end: end}, f.appendOnly)
		})
	}
	source := &lineSource{name: "standard input", in: p.stdin}
	if f.from != "" {
		file, err := os.Open(f.from)
		if err != nil {
			return usageError(err)
		}
		defer file.Close()
		source.name, source.in = f.from, file
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			source.size = info.Size()
		}
	}
	return p.importFrom(ctx, source, f.appendOnly)
}

// isStore reports whether --from names a store, not a file.
func isStore(from string) bool {
	switch kind, rest := kindOf(from); kind {
	case "file", "stream", "mem", "router":
		return true
	case "http", "https", "postgres", "postgresql", "sqlserver", "dynamodb":
		return strings.HasPrefix(rest, "//")
	}
	return isAzure(from)
}

func (p *program) importFrom(ctx context.Context, from source, appendOnly bool) error {
	return p.with(ctx, writing, func(store *daybook.Store) error {
		bar := p.newProgress()
		defer bar.done()
		m := &importing{store: store, source: from, bar: bar, append: appendOnly || !keepsPositions(ctx, store)}
		err := m.run(ctx)
		bar.done()
		if err != nil {
			if m.stored > 0 && hintOf(err) == "" {
				err = hinted(err, "%s before it taken in; run the same import again to go on", counted(m.stored, "record"))
			}
			return err
		}
		return p.printImport(m)
	})
}

// keepsPositions reports whether the storage can take in records as they are.
// The question is an import that is wrong in itself: a storage that takes in
// none says so before it looks.
func keepsPositions(ctx context.Context, store *daybook.Store) bool {
	return !errors.Is(store.Import(ctx, []daybook.RecordedChangeset{{}}), daybook.ErrUnsupported)
}

func (p *program) printImport(m *importing) error {
	var err error
	if p.json {
		compared := ""
		if m.compared != nil {
			compared = fmt.Sprintf(`,"compared":{"records":%d,"streams":%d}`, m.compared.records, m.compared.streams)
		}
		_, err = fmt.Fprintf(p.stdout, `{"imported":%d,"present":%d,"position":%d%s}`+"\n", m.stored, m.present, m.last, compared)
		return err
	}
	present := ""
	if m.present > 0 {
		present = fmt.Sprintf(", %s there already", grouped(m.present))
	}
	checked := "read back and counted"
	if m.compared != nil {
		checked = fmt.Sprintf("%s of %s the same in both stores", counted(m.compared.records, "record"), counted(m.compared.streams, "stream"))
	}
	_, err = fmt.Fprintf(p.stdout, "%s taken in%s; %s, up to position %s\n", counted(m.stored, "record"), present, checked, grouped(int64(m.last)))
	return err
}

// importing is one run of an import.
type importing struct {
	store  *daybook.Store
	source source
	bar    *progress
	append bool // with new positions

	end     daybook.Position // of the log when the import began
	compare *comparison      // with what stands up to end
	piece   piece            // read, and not stored yet
	stored  int64            // records
	present int64            // records that were there already
	first   daybook.Position // in the store, of the first record of the file
	last    daybook.Position // in the store, of the last

	compared *sides // what was the same in two stores; nil after the import of a file
}

// piece is what is stored at once: whole appends.
type piece struct {
	changesets []daybook.RecordedChangeset
	at         string // where the first of them stands in the source
	records    int
	bytes      int64
}

// A piece is closed at the end of the append that reaches one of these.
const (
	pieceRecords = 1000
	pieceBytes   = 1 << 20
)

func (m *importing) run(ctx context.Context) error {
	var err error
	if m.end, err = m.store.End(ctx); err != nil {
		return err
	}
	if !m.append {
		m.compare = newComparison(ctx, m.store, m.source, m.end)
		defer m.compare.stop()
	}
	for c, err := range m.source.changesets(ctx) {
		if err != nil {
			return err
		}
		done, total := m.source.progress()
		m.bar.show("import", done, total)
		if m.first == 0 {
			m.first = c.Records[0].Position
		}
		if !m.append && c.Records[0].Position <= m.end {
			if err := m.compare.changeset(m.source, &c); err != nil {
				return err
			}
			m.present += int64(len(c.Records))
			m.last = c.Records[len(c.Records)-1].Position
			continue
		}
		if err := m.add(ctx, c); err != nil {
			return err
		}
	}
	if err := m.flush(ctx); err != nil {
		return err
	}
	return m.check(ctx)
}

// add puts a changeset into the piece, and stores the piece first if it is
// full and the changeset begins another append.
func (m *importing) add(ctx context.Context, c readChangeset) error {
	if n := len(m.piece.changesets); n > 0 {
		full := m.piece.records >= pieceRecords || m.piece.bytes >= pieceBytes || m.append
		if full && m.piece.changesets[n-1].AppendID != c.AppendID {
			if err := m.flush(ctx); err != nil {
				return err
			}
		}
	}
	if len(m.piece.changesets) == 0 {
		m.piece.at = m.source.at(&c, 0)
	}
	m.piece.changesets = append(m.piece.changesets, c.RecordedChangeset)
	m.piece.records += len(c.Records)
	m.piece.bytes += c.bytes
	return nil
}

// flush stores the piece.
func (m *importing) flush(ctx context.Context) error {
	if len(m.piece.changesets) == 0 {
		return nil
	}
	if !m.append {
		// Before the first record that is new, all that the store has must
		// have been in the file.
		if err := m.compare.finished(m.piece.at); err != nil {
			return err
		}
		err := m.takeIn(ctx, m.piece.changesets)
		if errors.Is(err, daybook.ErrUnsupported) && m.end == 0 && m.stored == 0 {
			m.append = true // a server whose storage gives its own positions
		} else if err != nil {
			return fmt.Errorf("%s, %s and what follows: %w", m.source.title(), m.piece.at, err)
		}
	}
	if m.append {
		return m.appendPiece(ctx)
	}
	m.stored += int64(m.piece.records)
	changesets := m.piece.changesets
	records := changesets[len(changesets)-1].Records
	m.last = records[len(records)-1].Position
	m.piece = piece{}
	return nil
}

// takeIn stores changesets. What is more than the storage takes at once is
// halved, between two appends.
func (m *importing) takeIn(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	err := m.store.Import(ctx, changesets)
	var limit *daybook.LimitError
	if !errors.As(err, &limit) {
		return err
	}
	middle := len(changesets) / 2
	for middle > 0 && changesets[middle-1].AppendID == changesets[middle].AppendID {
		middle--
	}
	if middle == 0 {
		return err
	}
	if err := m.takeIn(ctx, changesets[:middle]); err != nil {
		return err
	}
	return m.takeIn(ctx, changesets[middle:])
}

// appendPiece appends the appends of the piece, each with its own id.
func (m *importing) appendPiece(ctx context.Context) error {
	var a daybook.Append
	for i, c := range m.piece.changesets {
		again := daybook.Changeset{Stream: c.Stream, Metadata: c.Metadata, Claims: c.Claims, Releases: c.Releases, References: c.References}
		for _, record := range c.Records {
			again.Events = append(again.Events, record.Event)
		}
		a.ID = c.AppendID
		a.Changesets = append(a.Changesets, again)
		if i+1 < len(m.piece.changesets) && m.piece.changesets[i+1].AppendID == a.ID {
			continue
		}
		receipt, err := m.store.AppendAll(ctx, a)
		if err != nil {
			return fmt.Errorf("%s, %s and what follows: %w", m.source.title(), m.piece.at, err)
		}
		records := int64(0)
		for _, c := range receipt.Changesets {
			records += int64(c.Last-c.First) + 1
		}
		if receipt.Repeated {
			m.present += records
		} else {
			m.stored += records
		}
		m.last = max(m.last, receipt.Position())
		a = daybook.Append{}
	}
	m.piece = piece{}
	return nil
}

// check reads back what was taken in, and counts or compares it.
func (m *importing) check(ctx context.Context) error {
	if m.append {
		return nil // each append was answered by a receipt that was counted
	}
	if from, ok := m.source.(*storeSource); ok {
		var err error
		m.compared, err = compareStores(ctx, from, m.store, m.bar)
		return err
	}
	if m.stored+m.present == 0 {
		return nil
	}
	var found int64
	var last daybook.Position
	for record, err := range m.store.ReadLog(ctx, daybook.LogRead{After: m.first - 1, To: m.last}) {
		if err != nil {
			return err
		}
		found++
		last = record.Position
		m.bar.show("check", found, m.stored+m.present)
	}
	if found != m.stored+m.present || last != m.last {
		return fmt.Errorf("read back, the store has %s up to position %d, the import had %d up to position %d",
			counted(found, "record"), last, m.stored+m.present, m.last)
	}
	return nil
}
