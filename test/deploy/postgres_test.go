package deploy_test

import (
	"fmt"
	"net"
	"net/url"
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
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
	"github.com/taktwork/takt/test/redistest"
)

// postgres is a server that speaks TLS alone to its clients, with the roles of deploy/postgres-roles.sql. That of pgtest
// has no TCP port.
type postgres struct {
	port  int
	admin domain.Secret
}

const (
	runPassword     = "run-s3cret"
	migratePassword = "migrate-s3cret"
)

func startPostgres(t testing.TB, authority *redistest.Authority) *postgres {
	t.Helper()
	// Not t.TempDir: the path of a socket is short.
	dir, err := os.MkdirTemp("/tmp", "takt-pg-tls-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	pair := authority.Issue("postgres", redistest.Subject{Names: []string{"127.0.0.1"}})
	write(t, filepath.Join(dir, "server.pem"), read(t, pair.CertFile), 0o600)
	write(t, filepath.Join(dir, "server.key"), read(t, pair.KeyFile), 0o600)
	owner := postgresUser(t, dir)
	s := &postgres{port: freePort(t)}
	data := filepath.Join(dir, "data")
	initdb := postgresCommand(t, owner, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	if text, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, text)
	}
	write(t, filepath.Join(data, "pg_hba.conf"), "local takt,postgres all trust\nhostssl takt all 127.0.0.1/32 scram-sha-256\n", 0o600)
	server := postgresCommand(t, owner, "postgres", "-D", data, "-k", dir, "-p", strconv.Itoa(s.port), "-h", "127.0.0.1", "-F",
		"-c", "ssl=on", "-c", "ssl_cert_file="+filepath.Join(dir, "server.pem"), "-c", "ssl_key_file="+filepath.Join(dir, "server.key"))
	log := newTranscript()
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Wait()
	}()
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT)
		<-done
		if t.Failed() {
			t.Logf("postgres:\n%s", log)
		}
	})
	s.admin = domain.NewSecret(fmt.Sprintf("postgres://postgres@/postgres?host=%s&port=%d", url.QueryEscape(dir), s.port))
	await(t, "postgres", func() bool {
		conn, err := pgx.Connect(t.Context(), s.admin.Reveal())
		if err == nil {
			_ = conn.Close(t.Context())
		}
		return err == nil
	})
	s.prepare(t, dir)
	return s
}

// prepare does what docs/deploy.md asks of an administrator.
func (s *postgres) prepare(t testing.TB, dir string) {
	t.Helper()
	pgtest.Exec(t, s.admin, "CREATE DATABASE takt")
	takt := domain.NewSecret(fmt.Sprintf("postgres://postgres@/takt?host=%s&port=%d", url.QueryEscape(dir), s.port))
	pgtest.Exec(t, takt, read(t, repository(t, "deploy", "postgres-roles.sql")))
	pgtest.Exec(t, takt, "ALTER ROLE worker_run PASSWORD '"+runPassword+"'; ALTER ROLE worker_migrate PASSWORD '"+migratePassword+"'")
}

// postgresUser is who runs the server, and owns the directory: Postgres refuses root.
func postgresUser(t testing.TB, dir string) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	for _, path := range []string{dir, filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")} {
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func postgresCommand(t testing.TB, owner *syscall.Credential, name string, args ...string) *exec.Cmd {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.Sort(found)
	path := name
	if len(found) > 0 {
		path = found[len(found)-1]
	}
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("postgres is not installed: run make postgres, or apt-get install postgresql (%v)", err)
	}
	cmd := exec.CommandContext(background(t), path, args...)
	cmd.Dir = "/tmp"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner, Setpgid: true}
	return cmd
}

func freePort(t testing.TB) int {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // it was never used
	return listener.Addr().(*net.TCPAddr).Port
}

// settings are the variables of the worker's own role.
func (s *postgres) settings() map[string]string {
	return map[string]string{
		"DB_HOST": "127.0.0.1", "DB_PORT": strconv.Itoa(s.port), "DB_NAME": "takt", "DB_USER": "worker_run", "DB_PASS": runPassword,
	}
}

// connected waits until a client of the role speaks TLS to the server.
func (s *postgres) connected(t testing.TB, role string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		var ssl bool
		found := pgtestQuery(t, s.admin, "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '"+role+"'", &ssl)
		if found && ssl {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no client of the role %s has spoken TLS to Postgres", role)
		}
	}
}

// pgtestQuery reads one value; false means null.
func pgtestQuery(t testing.TB, uri domain.Secret, sql string, into *bool) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), uri.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // asked and done
	var value *bool
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatal(err)
	}
	if value != nil {
		*into = *value
	}
	return value != nil
}
