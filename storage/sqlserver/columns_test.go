package sqlserver

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	createTable = regexp.MustCompile(`(?s)CREATE TABLE (\[daybook\]\.\w+|#\w+) \((.*?)\n?\s*\);`)
	columnName  = regexp.MustCompile(`^\s*(?:\[(\w+)\]|(\w+))\s+(?:\w|AS CAST)`)
	headColumns = []string{"version", "changeset", "first", "position", "recorded_at"}
	aliasOf     = regexp.MustCompile(`(\[daybook\]\.\w+|#\w+)(?:\([^()]*\))? (?:AS )?(\w+)\b`)
	columnOf    = regexp.MustCompile(`\b([a-z]\w*)\.(?:\[(\w+)\]|(\w+))`)
	insertInto  = regexp.MustCompile(`(?s)INSERT INTO (\[daybook\]\.\w+|#\w+) \(([^)]*)\)`)
)

// columnsIn adds the columns of the tables that a text of SQL creates.
func columnsIn(text string, tables map[string][]string) {
	for _, found := range createTable.FindAllStringSubmatch(text, -1) {
		depth, from := 0, 0
		var parts []string
		for i, r := range found[2] {
			switch {
			case r == '(':
				depth++
			case r == ')':
				depth--
			case r == ',' && depth == 0:
				parts, from = append(parts, found[2][from:i]), i+1
			}
		}
		for _, part := range append(parts, found[2][from:]) {
			if name := columnName.FindStringSubmatch(part); name != nil && name[2] != "CONSTRAINT" && name[2] != "PRIMARY" {
				tables[found[1]] = append(tables[found[1]], name[1]+name[2])
			}
		}
	}
}

// uncommented returns a text of SQL without its comments.
func uncommented(text string) string {
	return regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(text, "")
}

// It knows tables and their aliases, not scopes: a name that means two tables
// in one text may have the columns of both.
func TestEveryColumnThatIsNamedIsThatOfATable(t *testing.T) {
	d := &Driver{options: Options{Schema: "daybook"}}
	d.sql = newStatements("daybook")
	script, err := d.script(0)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string][]string{"[daybook].head": headColumns}
	for _, batch := range script {
		columnsIn(uncommented(batch), tables)
	}
	s := &d.sql
	texts := append(script, s.receipts, s.known, s.stands, s.head, s.end, s.changesets, s.claim, s.deletion, s.deletions, s.hiddenStreams)
	for _, read := range logReads(noon) {
		text, _ := d.logQuery(&read.read, 1, 2, 3)
		texts = append(texts, text)
	}
	checked := 0
	for _, text := range texts {
		text = uncommented(text)
		aliases := map[string][]string{}
		for _, found := range aliasOf.FindAllStringSubmatch(text, -1) {
			if columns, is := tables[found[1]]; is {
				aliases[found[2]] = append(aliases[found[2]], columns...)
			}
		}
		for _, found := range columnOf.FindAllStringSubmatch(text, -1) {
			columns, known := aliases[found[1]]
			if !known {
				continue // of a query in parentheses, or of JSON
			}
			checked++
			if column := found[2] + found[3]; !slices.Contains(columns, column) {
				t.Errorf("%s: no table that is called %s has a column %s, these are there: %s", found[0], found[1], column, strings.Join(columns, " "))
			}
		}
		for _, found := range insertInto.FindAllStringSubmatch(text, -1) {
			for _, name := range strings.Split(found[2], ",") {
				checked++
				if name = strings.Trim(name, " []\n"); !slices.Contains(tables[found[1]], name) {
					t.Errorf("%s has no column %s", found[1], name)
				}
			}
		}
	}
	if checked < 500 {
		t.Errorf("only %d names were looked at: the tables are not found any more", checked)
	}
}
