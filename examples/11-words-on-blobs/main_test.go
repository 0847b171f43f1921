package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

const (
	programEnv  = "DAYBOOK_WORDS_ON_BLOBS" // the address of the words, for a program of the test
	serviceEnv  = "DAYBOOK_AZURITE_BLOB"   // the blob service of an emulator
	emulatorKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// TestMain lets the test binary be one of the programs that count.
func TestMain(m *testing.M) {
	if address := os.Getenv(programEnv); address != "" {
		if err := run(context.Background(), address, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestWordsAreCountedInADirectory(t *testing.T) {
	dir := t.TempDir()
	for round, want := range []string{"book 1\nday 1\nthe 2\n", "book 2\nday 2\nthe 4\n"} {
		var out strings.Builder
		if err := run(t.Context(), dir, strings.NewReader("the day\n\nthe book\n"), &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("run %d prints\n%swant\n%s", round, out.String(), want)
		}
	}
}

func TestThreeProgramsAgreeOnEveryCount(t *testing.T) {
	service := os.Getenv(serviceEnv)
	if service == "" {
		t.Skipf("NOT TESTED: words on append blobs, since %s is not set: eval \"$(scripts/services start azurite)\"", serviceEnv)
	}
	const programs, lines = 3, 20
	container := "words" + strings.ReplaceAll(uuid.NewString(), "-", "")
	address := "azureblob:BlobEndpoint=" + service + ";AccountName=devstoreaccount1;AccountKey=" + emulatorKey + ";Container=" + container
	var group sync.WaitGroup
	for p := range programs {
		group.Go(func() {
			command := exec.CommandContext(t.Context(), os.Args[0])
			command.Env = append(os.Environ(), programEnv+"="+address)
			command.Stdin = strings.NewReader(strings.Repeat("the book\nday\n", lines) + fmt.Sprintf("only%d\n", p))
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("program %d: %v\n%s", p, err, out)
			}
		})
	}
	group.Wait()
	want := "book 60\nday 60\nonly0 1\nonly1 1\nonly2 1\nthe 60\n"
	for range programs {
		var out strings.Builder
		if err := run(t.Context(), address, strings.NewReader(""), &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("together they counted\n%swant\n%s", out.String(), want)
		}
	}
}
