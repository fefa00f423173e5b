package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startPatience bounds the wait for a server to answer.
const startPatience = 60 * time.Second

// port names the socket's file; no TCP port is taken.
const port = 5432

// server is a Postgres of this process.
type server struct {
	// dir holds the data, the log and the socket; bin the programs.
	dir, bin string
	owner    *syscall.Credential
	// settings come after ours.
	settings []string
	cmd      *exec.Cmd
	done     chan struct{}
}

// startServer makes a new database cluster and starts it. Nothing is synced to
// disk: tests end servers, not machines.
func startServer(settings ...string) (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	// The path of a Unix socket is short: /tmp, whatever TMPDIR says.
	dir, err := os.MkdirTemp("/tmp", "takt-pg-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, bin: bin, settings: settings}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *server) start() (err error) {
	if s.owner, err = ownerOf(s.dir); err != nil {
		return err
	}
	initdb := s.command("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	if text, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, text)
	}
	if err := s.configure(); err != nil {
		return err
	}
	return s.run()
}

// run starts the server on its data and waits for its answer.
func (s *server) run() error {
	log, err := os.OpenFile(s.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the server has its own handle
	s.cmd = s.command("postgres", "-D", s.data(), "-k", s.dir)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait()
	}()
	return s.await()
}

// configure writes the settings into the file, where tests may override them
// with ALTER SYSTEM.
func (s *server) configure() error {
	file, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "\nlisten_addresses = ''\nport = %d\nfsync = off\nmax_connections = 200\ndeadlock_timeout = 100ms\n%s\n", port, strings.Join(s.settings, "\n"))
	return errors.Join(err, file.Close())
}

func (s *server) data() string    { return filepath.Join(s.dir, "data") }
func (s *server) logFile() string { return filepath.Join(s.dir, "postgres.log") }

// command returns one that runs as the owner, out of reach of the signals that
// a terminal sends.
func (s *server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...) //nolint:gosec,noctx // ended by stop
	cmd.Dir = s.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") })
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}
	return cmd
}

// await waits until the server answers.
func (s *server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.uri("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.done:
			return fmt.Errorf("postgres ended at once: %s", s.log())
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w: %s", err, s.log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *server) log() string {
	text, _ := os.ReadFile(s.logFile())
	return string(text)
}

// uri returns the address of a database.
func (s *server) uri(database string) string {
	return fmt.Sprintf("postgres://postgres@/%s?host=%s&sslmode=disable", database, s.dir)
}

// halt ends the server at once.
func (s *server) halt() {
	if s.done == nil {
		return
	}
	// Immediate shutdown: the postmaster ends its children before itself.
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-s.done:
	case <-time.After(startPatience):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// restart halts the server and starts it again.
func (s *server) restart() error {
	s.halt()
	return s.run()
}

// stop ends the server at once and removes its directory.
func (s *server) stop() error {
	s.halt()
	return os.RemoveAll(s.dir)
}

// binaries returns the directory of initdb and postgres, the newest there is.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.Sort(found)
	if path, err := exec.LookPath("initdb"); err == nil {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			found = append(found, target)
		}
	}
	for _, initdb := range slices.Backward(found) {
		if dir := filepath.Dir(initdb); exists(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", errors.New("postgres is not installed: run make postgres, or apt-get install postgresql")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
