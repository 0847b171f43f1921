package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is set by release builds: -ldflags "-X main.release=v1.2.3".
var release string

// version returns the release, else what the Go command knows of the build.
func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "unreleased"
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: "keep",
		Short:   "Tell the version",
		Long:    "Tells the version of this program, of Go, and the system that it was built for.",
		Example: "  daybook version\n  daybook version --json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			system := runtime.GOOS + "/" + runtime.GOARCH
			if p.json {
				return json.NewEncoder(p.stdout).Encode(map[string]string{"version": version(), "go": runtime.Version(), "system": system})
			}
			_, err := fmt.Fprintf(p.stdout, "daybook %s %s %s\n", version(), runtime.Version(), system)
			return err
		},
	}
}
