package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The race detector lets every program sleep for a second when it ends.
const raceVariable, raceSetting = "GORACE", "atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	must(os.Setenv(raceVariable, raceSetting))
	testscript.Main(m, map[string]func(){"daybook": main, triedName: serveTried, failingDaybook: runOnFailingDisk})
}

// TestScripts runs the scripts in testdata, which read like a manual. Besides
// the commands of testscript there are:
//
//	serve [FLAG...]    starts a server on a free port; $URL is where
//	interrupt          ends it as an operator would, and waits
//	crash              ends it as a power cut would, and waits
//	logged TEXT        looks for a text in the log of the server; with ! for none
//	waits-logged TEXT  waits until the log of the server has a text
//	exits CODE COMMAND runs a command that must end with this exit code
//	cut-end FILE N     cuts N bytes from the end of a file
//	flip FILE TEXT     damages the first byte of a text in a file
//	sql TEXT           runs SQL on the server of $POSTGRES as its owner
//
// The condition [postgres] is true where there is a PostgreSQL server to test
// with; then $POSTGRES is the URL of a store on it that is not there yet, in
// the schema $SCHEMA. A script that begins with what is so named is skipped
// elsewhere, and says so. [dynamodb] is the same for $DYNAMODB and $DYNAMODB_COPY,
// [appendblobs] for $APPENDBLOBS and $APPENDBLOBS_COPY, with $APPENDBLOBS_READING
// for a signature that lets the first one be read.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Values[serverKey{}] = &server{}
			env.Setenv(raceVariable, raceSetting)
			setupDynamoDB(env)
			if err := setupAppendBlobs(env); err != nil {
				return err
			}
			return setupPostgres(env)
		},
		Condition: func(condition string) (bool, error) {
			if condition == "postgres" {
				return os.Getenv(postgresVariable) != "", nil
			}
			if condition == "dynamodb" {
				return os.Getenv(dynamoDBVariable) != "", nil
			}
			if condition == "appendblobs" {
				return os.Getenv(appendBlobsVariable) != "", nil
			}
			return false, fmt.Errorf("%s: is an unknown condition", condition)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve": serve,
			"interrupt": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(running(ts).interrupt())
				ts.Logf("%s", running(ts).log())
			},
			"crash": func(ts *testscript.TestScript, _ bool, _ []string) { running(ts).kill() },
			"logged": func(ts *testscript.TestScript, neg bool, args []string) {
				if log := running(ts).log(); strings.Contains(log, args[0]) == neg {
					ts.Fatalf("%q in the log of the server: %t\n%s", args[0], neg, log)
				}
			},
			"waits-logged": func(ts *testscript.TestScript, _ bool, args []string) {
				for from := time.Now(); !strings.Contains(running(ts).log(), args[0]); time.Sleep(5 * time.Millisecond) {
					if time.Since(from) > time.Minute {
						ts.Fatalf("the log of the server does not get %q:\n%s", args[0], running(ts).log())
					}
				}
			},
			"exits":   exits,
			"cut-end": cutEnd,
			"flip":    flip,
			"sql":     runSQL,
		},
	})
}

// serverKey is where a script keeps its server.
type serverKey struct{}

func running(ts *testscript.TestScript) *server { return ts.Value(serverKey{}).(*server) }

func serve(ts *testscript.TestScript, _ bool, args []string) {
	started, err := startServer(ts.Getenv("WORK"), ts.Getenv(storeVariable), args...)
	ts.Check(err)
	ts.Defer(started.kill)
	*running(ts) = *started
	ts.Setenv("URL", started.url)
}

// server is a running daybook serve.
type server struct {
	command *exec.Cmd
	url     string
	errors  string // the file that its log goes to
}

// startServer starts a server on a free port and waits until it says where.
func startServer(dir, store string, flags ...string) (*server, error) {
	return startServerOf("daybook", dir, store, flags...)
}

// startServerOf is startServer for another program.
func startServerOf(program, dir, store string, flags ...string) (*server, error) {
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--json", "--log-format", "json"}, flags...)
	command := exec.Command(program, args...)
	command.Env = append(os.Environ(), storeVariable+"="+store)
	return start(dir, command)
}

// start starts a server, in a directory that takes its log.
func start(dir string, command *exec.Cmd) (*server, error) {
	s := &server{command: command}
	s.command.Dir = dir
	log, err := os.CreateTemp(dir, "serve-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.errors, s.command.Stderr = log.Name(), log
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		_ = s.command.Wait() // its log says more
		return nil, &exec.Error{Name: command.Path + ": " + s.log(), Err: err}
	}
	var where struct{ URL string }
	err = json.Unmarshal(line, &where)
	s.url = where.URL
	return s, err
}

func (s *server) log() string {
	log, _ := os.ReadFile(s.errors) // an empty log says that it could not be read
	return string(log)
}

// kill ends the server at once. It may have ended already.
func (s *server) kill() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

// interrupt ends the server and returns an error unless it ended well.
func (s *server) interrupt() error {
	if err := s.command.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.command.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Minute):
		s.kill()
		return os.ErrDeadlineExceeded
	}
}

// exits is exec for a command whose exit code matters.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || strconv.Itoa(exit.ExitCode()) != args[0] {
		ts.Fatalf("%s: %v, want exit code %s", strings.Join(args[1:], " "), err, args[0])
	}
}

func cutEnd(ts *testscript.TestScript, _ bool, args []string) {
	name := oneFile(ts, args[0])
	info, err := os.Stat(name)
	ts.Check(err)
	var n int64
	ts.Check(json.Unmarshal([]byte(args[1]), &n))
	ts.Check(os.Truncate(name, info.Size()-n))
}

func flip(ts *testscript.TestScript, _ bool, args []string) {
	name := oneFile(ts, args[0])
	data, err := os.ReadFile(name)
	ts.Check(err)
	at := strings.Index(string(data), args[1])
	if at < 0 {
		ts.Fatalf("%s does not hold %q", name, args[1])
	}
	data[at] ^= 1
	ts.Check(os.WriteFile(name, data, 0o666))
}

// oneFile returns the one file that a pattern matches.
func oneFile(ts *testscript.TestScript, pattern string) string {
	names, err := filepath.Glob(ts.MkAbs(pattern))
	ts.Check(err)
	if len(names) != 1 {
		ts.Fatalf("%s matches %v, want one file", pattern, names)
	}
	return names[0]
}
