package postgres_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is a PostgreSQL of a test's own, which it may kill.
type server struct {
	binaries, data string
	port           int
	as             *syscall.Credential // root may not run it
	running        *exec.Cmd
	ended          chan struct{} // closed when running has ended
}

// ownServer makes and starts a server that syncs what it commits. Its programs
// are those of DAYBOOK_POSTGRES_BIN, or the newest that are installed.
func ownServer(t *testing.T) *server {
	t.Helper()
	folder := t.TempDir()
	if err := os.Chmod(filepath.Dir(folder), 0o711); err != nil { // its user must reach what is below
		t.Fatal(err)
	}
	s := &server{binaries: os.Getenv("DAYBOOK_POSTGRES_BIN"), data: filepath.Join(folder, "data")}
	if installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); s.binaries == "" && len(installed) > 0 {
		s.binaries = slices.Max(installed)
	}
	if _, err := os.Stat(filepath.Join(s.binaries, "initdb")); err != nil {
		t.Skip("NOT TESTED: a PostgreSQL that is killed, or has a full disk: its programs are not here; DAYBOOK_POSTGRES_BIN names their folder")
	}
	if os.Geteuid() == 0 {
		other, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("NOT TESTED: a PostgreSQL that is killed, or has a full disk: root cannot run it, and there is no user postgres")
		}
		uid, _ := strconv.Atoi(other.Uid)
		gid, _ := strconv.Atoi(other.Gid)
		s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	s.own(t, s.data)
	made := s.command("initdb", "-D", s.data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
	if said, err := made.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, said)
	}
	t.Cleanup(func() { s.stop(syscall.SIGINT) })
	s.start(t)
	return s
}

// own makes a folder that belongs to the user of the server.
func (s *server) own(t *testing.T, folder string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if s.as != nil {
		if err := os.Chown(folder, int(s.as.Uid), int(s.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *server) command(program string, arguments ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.binaries, program), arguments...)
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return c
}

// start starts the server and waits until it answers. One that was killed
// leaves processes behind that end by themselves, and until then nothing
// starts.
func (s *server) start(t *testing.T) {
	t.Helper()
	if s.port == 0 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.port = listener.Addr().(*net.TCPAddr).Port
		_ = listener.Close()
	}
	for until := time.Now().Add(time.Minute); time.Now().Before(until); {
		running := s.command("postgres", "-D", s.data, "-p", strconv.Itoa(s.port), "-h", "127.0.0.1", "-k", "",
			"-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "max_connections=50")
		log, err := os.OpenFile(s.data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		running.Stdout, running.Stderr = log, log
		err = running.Start()
		_ = log.Close()
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			_ = running.Wait()
			close(ended)
		}()
		s.running, s.ended = running, ended
		if s.answers(t.Context()) {
			return
		}
		s.running = nil
	}
	said, _ := os.ReadFile(s.data + ".log")
	t.Fatalf("PostgreSQL does not start:\n%s", said)
}

// answers waits until the server answers, or has ended.
func (s *server) answers(ctx context.Context) bool {
	for {
		select {
		case <-s.ended:
			return false
		case <-time.After(20 * time.Millisecond):
			if connection, err := pgx.Connect(ctx, s.url()); err == nil {
				_ = connection.Close(context.Background())
				return true
			}
		}
	}
}

// stop ends the server by a signal, if it runs.
func (s *server) stop(signal syscall.Signal) {
	if s.running != nil {
		_ = s.running.Process.Signal(signal)
		<-s.ended
		s.running = nil
	}
}

func (s *server) url() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}
