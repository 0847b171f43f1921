package sqlserver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/daybook-go/daybook"
)

func TestAnErrorOfTheServerSaysWhatToDo(t *testing.T) {
	for _, test := range []struct {
		number  int32
		message string
		hint    string
	}{
		{18456, "Login failed for user 'ann'.", "check user and password"},
		{4060, "Cannot open database \"x\" requested by the login.", "create the database"},
		{229, "The INSERT permission was denied on the object 'events'.", "docs/sqlserver.md, Roles"},
		{262, "CREATE SCHEMA permission denied in database 'x'.", "docs/sqlserver.md, Roles"},
		{208, "Invalid object name 'daybook.store'.", "run daybook migrate"},
		{2812, "Could not find stored procedure 'daybook.append'.", "run daybook migrate"},
		{3906, "Failed to update database \"x\" because the database is read-only.", "name the primary"},
		{1105, "Could not allocate space for object 'events'.", "make room"},
		{1101, "Could not allocate a new page for database 'x'.", "make room"},
		{9002, "The transaction log for database 'x' is full.", "make room"},
		{245, "Conversion failed.", ""},
	} {
		t.Run(fmt.Sprint(test.number), func(t *testing.T) {
			from := mssql.Error{Number: test.number, Message: test.message, Class: 16}
			err := explained(fmt.Errorf("sending: %w", from), "daybook")
			if !errors.Is(err, daybook.ErrRefused) {
				t.Errorf("%v does not match ErrRefused, but the server stored nothing", err)
			}
			if full := strings.HasPrefix(test.hint, "make room"); errors.Is(err, daybook.ErrFull) != full {
				t.Errorf("%v matches ErrFull: %t, want %t", err, !full, full)
			}
			if !strings.Contains(err.Error(), test.hint) || !strings.Contains(err.Error(), test.message) {
				t.Errorf("%q does not say %q and %q", err, test.message, test.hint)
			}
			var told mssql.Error
			if !errors.As(err, &told) || told.Number != test.number {
				t.Errorf("%v does not lead to what the server said", err)
			}
		})
	}
}

func TestTheFirstOfSeveralErrorsIsTheCause(t *testing.T) {
	first, last := mssql.Error{Number: 1105, Message: "no room"}, mssql.Error{Number: 3621, Message: "The statement has been terminated."}
	last.All = []mssql.Error{first, {Number: 3621, Message: last.Message}}
	if err := explained(last, "daybook"); !errors.Is(err, daybook.ErrFull) {
		t.Errorf("%v does not match ErrFull", err)
	}
}

func TestAnErrorThatMayGoAwayIsTriedAgainAndNeverCalledRefused(t *testing.T) {
	for name, err := range map[string]error{
		"a deadlock":               mssql.Error{Number: 1205},
		"a deadlock for the turn":  mssql.Error{Number: 51205},
		"a failover":               mssql.Error{Number: 40613},
		"a server that shuts down": mssql.Error{Number: 6005},
		"a connection that ended":  fmt.Errorf("reading: %w", io.EOF),
		"half an answer":           io.ErrUnexpectedEOF,
		"a bad connection":         driver.ErrBadConn,
		"a broken stream":          mssql.StreamError{InnerError: errors.New("broken")},
		"no route":                 &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")},
		"behind the commit":        &lateError{mssql.Error{Number: 245}},
	} {
		t.Run(name, func(t *testing.T) {
			if !isTransient(err) {
				t.Errorf("%v is not tried again", err)
			}
			if errors.Is(explained(err, "daybook"), daybook.ErrRefused) {
				t.Errorf("%v matches ErrRefused, but what was sent may have been done", err)
			}
		})
	}
	for name, err := range map[string]error{
		"a context that ended": context.Canceled,
		"a wrong password":     mssql.Error{Number: 18456},
		"a missing table":      mssql.Error{Number: 208},
		"a full disk":          mssql.Error{Number: 1105},
	} {
		t.Run(name, func(t *testing.T) {
			if isTransient(err) {
				t.Errorf("%v is tried again", err)
			}
		})
	}
}

func TestAURLThatIsWrongIsRefusedWithoutItsPassword(t *testing.T) {
	for _, address := range []string{
		"", "sqlserver://", "postgres://u:secret@host/db", "sqlserver://u:secret@host:port", "sqlserver://u:secret%@host", "sqlserver://u:secret@host?a=%zz",
		"sqlserver://u:secret@host?encrypt=perhaps",
	} {
		_, err := Open(t.Context(), address, nil)
		var invalid *daybook.InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%q gives %v, want *daybook.InvalidError", address, err)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q gives %v, which shows the password", address, err)
		}
	}
}

func TestASchemaIsTakenOutOfTheURL(t *testing.T) {
	rest, schema, err := cutSchema("sqlserver://u:p%40@host:1433?database=d&schema=s&encrypt=disable")
	if err != nil || schema != "s" || rest != "sqlserver://u:p%40@host:1433?database=d&encrypt=disable" {
		t.Errorf("got %q, %q, %v", rest, schema, err)
	}
	if rest, _, err = cutSchema("sqlserver://host?Encrypt=disable"); err != nil || rest != "sqlserver://host?Encrypt=disable" {
		t.Errorf("got %q, %v", rest, err)
	}
	if rest, _, err = cutSchema("sqlserver://host"); err != nil || rest != "sqlserver://host?encrypt=true" {
		t.Errorf("a URL that does not speak of encryption is %q, %v", rest, err)
	}
	for _, name := range []string{"sys", "INFORMATION_SCHEMA", "ends ", strings.Repeat("x", 129), strings.Repeat("\U0001F4D3", 65), "nul\x00", "\xff"} {
		if err := checkSchema(name); !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("schema %q gives %v, want an error that matches ErrInvalid", name, err)
		}
	}
	for _, name := range []string{"daybook", "day]book's", strings.Repeat("x", 128)} {
		if err := checkSchema(name); err != nil {
			t.Errorf("schema %q gives %v", name, err)
		}
	}
}

func TestAServerThatLacksSomethingIsRefusedWithWhatToDo(t *testing.T) {
	for _, test := range []struct {
		row  []driver.Value
		says string
	}{
		{[]driver.Value{int64(14), int64(3), "db", int64(140), true}, "SQL Server 2019"},
		{[]driver.Value{int64(16), int64(3), "d]b", int64(120), true}, "ALTER DATABASE [d]]b] SET COMPATIBILITY_LEVEL"},
		{[]driver.Value{int64(16), int64(3), "d]b", int64(150), false}, "ALTER DATABASE [d]]b] SET READ_COMMITTED_SNAPSHOT ON"},
	} {
		d, _ := faked(t, results{{test.row}})
		err := d.prepare(t.Context())
		if !errors.Is(err, daybook.ErrRefused) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v: %v, want an error that says %q", test.row, err, test.says)
		}
	}
	d, _ := faked(t, results{{{int64(12), int64(azureEditions[0]), "db", int64(150), true}}}, results{{{int64(1)}}}, results{{{int64(Version)}}})
	if err := d.prepare(t.Context()); err != nil {
		t.Errorf("a database of Azure, which tells an old version, gives %v", err)
	}
	d, _ = faked(t, results{{{int64(16), int64(3), "db", int64(150), true}}}, results{{{int64(1)}}}, results{{{int64(Version + 1)}}})
	var version *VersionError
	if err := d.prepare(t.Context()); !errors.As(err, &version) || version.Found != Version+1 {
		t.Errorf("a store of a newer program gives %v, want *VersionError", err)
	}
}
