package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirm asks whether something shall be deleted, and returns an error unless
// the answer is yes, or where nobody can be asked.
func (p *program) confirm(format string, args ...any) error {
	if !p.somebodyAnswers() {
		return hinted(usagef("this cannot be undone, and there is no terminal to ask"), "--yes says that it is meant")
	}
	fmt.Fprintf(p.stderr, "%s? This cannot be undone. [y/N] ", printable(fmt.Sprintf(format, args...)))
	line, err := bufio.NewReader(p.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was deleted")
}

// somebodyAnswers reports whether standard input is a terminal.
func (p *program) somebodyAnswers() bool {
	in := p.stdin
	if wrapped, ok := in.(*interruptible); ok {
		in = wrapped.in
	}
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
