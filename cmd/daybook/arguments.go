package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// noArgs is for subcommands that have flags only.
func noArgs(command *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no argument, but %q was given", command.Name(), args[0])
	}
	return nil
}

// oneStream is for subcommands that take the name of a stream.
func oneStream(command *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return fmt.Errorf("%s needs the name of a stream", command.Name())
	case 1:
		return nil
	}
	return fmt.Errorf("%s takes one stream, but %d arguments were given", command.Name(), len(args))
}

// wrongUsage is the error of a command line that no subcommand has begun on.
func wrongUsage(command *cobra.Command, err error) error {
	text, suggestion, _ := strings.Cut(err.Error(), "\n")
	hint := command.CommandPath() + " --help shows how it is used"
	if words := strings.Fields(suggestion); len(words) > 0 {
		hint = "did you mean " + words[len(words)-1] + "?" // cobra's "Did you mean this?"
	}
	return &failure{exit: exitUsage, err: fmt.Errorf("%s", text), hint: hint}
}
