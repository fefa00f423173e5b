package storage_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/pgtest"
)

func survey(t *testing.T, db *storage.DB) storage.Survey {
	t.Helper()
	told, err := db.Survey(t.Context())
	if err != nil {
		t.Fatalf("Survey = %v, want no error", err)
	}
	return told
}

func TestASurveyTellsOfEachKindOfDatabase(t *testing.T) {
	t.Parallel()
	file, server := survey(t, openSQLite(t)), survey(t, openPostgres(t))
	for _, told := range []storage.Survey{file, server} {
		if told.Version == "" || told.RoundTrip <= 0 || told.ReadOnly || told.Proxied || told.Hidden {
			t.Errorf("survey %+v, want a database that answers", told)
		}
		if len(told.Migrations) == 0 || len(told.Pending()) > 0 || len(told.Newer) > 0 || len(told.Denied) > 0 {
			t.Errorf("survey %+v, want a schema of this version", told)
		}
	}
	if file.ClockAhead != nil || server.ClockAhead == nil || server.ClockAhead.Abs() > time.Minute {
		t.Errorf("clocks are ahead by %v and %v, want that of the server alone", file.ClockAhead, server.ClockAhead)
	}
	if server.Connections < 1 || server.MaxConnections < server.Connections {
		t.Errorf("%d of %d connections, want its own at least", server.Connections, server.MaxConnections)
	}
}

func TestASurveyTellsHowTheSchemaIs(t *testing.T) {
	t.Parallel()
	none := pgtest.Database(t)
	if told := survey(t, openAs(t, none, "postgres")); len(told.Pending()) != len(told.Migrations) || told.Hidden {
		t.Errorf("survey %+v of an empty database, want all to come", told)
	}
	newer := migrated(t)
	pgtest.Exec(t, newer, "INSERT INTO worker.migrations (version_id, is_applied) VALUES (9998, true)")
	pgtest.Exec(t, newer, "DELETE FROM worker.migrations WHERE version_id = 2")
	told := survey(t, openAs(t, newer, "worker_run"))
	if !slices.Equal(told.Newer, []int64{9998}) || len(told.Pending()) != 1 || told.Pending()[0].Version != 2 {
		t.Errorf("survey %+v, want one migration to come and one that is newer", told)
	}
}

func TestASurveyTellsWhatTheRoleMayNot(t *testing.T) {
	t.Parallel()
	uri := migrated(t)
	pgtest.ExecRoles(t, uri, `DO $$ BEGIN CREATE ROLE survey_reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	if told := survey(t, openAs(t, uri, "survey_reader")); !told.Hidden {
		t.Errorf("survey %+v, want a schema that is hidden", told)
	}
	pgtest.ExecRoles(t, uri, `GRANT USAGE ON SCHEMA worker TO survey_reader; GRANT ALL ON ALL TABLES IN SCHEMA worker TO survey_reader;
		REVOKE UPDATE ON worker.ledgers FROM survey_reader; REVOKE ALL ON worker.outbox FROM survey_reader`)
	if told := survey(t, openAs(t, uri, "survey_reader")); told.Hidden || !slices.Equal(told.Denied, []string{"ledgers", "outbox"}) {
		t.Errorf("survey %+v, want ledgers and outbox denied", told)
	}
	pgtest.ExecRoles(t, uri, `ALTER ROLE survey_reader SET default_transaction_read_only = on`)
	if told := survey(t, openAs(t, uri, "survey_reader")); !told.ReadOnly {
		t.Errorf("survey %+v, want it read-only", told)
	}
}

func TestASurveyWaitsForNobodyWhoKeepsAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kept.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: path, Foreign: true}}
	keeper := open(t, foreign)
	foreign.SQLite.Patience = 10 * time.Millisecond
	db := open(t, foreign)
	for _, words := range []string{"CREATE TABLE t (a)", "BEGIN EXCLUSIVE"} {
		if _, err := keeper.Writer().ExecContext(t.Context(), words); err != nil {
			t.Fatal(err)
		}
	}
	if told, err := db.Survey(t.Context()); !errors.Is(err, ports.ErrUnavailable) {
		t.Errorf("Survey = %+v, %v, want %v", told, err, ports.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if again, err := storage.Open(ctx, foreign); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open = %v, %v, want it given up with the context", again, err)
	}
	if _, err := keeper.Writer().ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
}

// lend passes a connection on as a pooler does: the number of the process that it
// names is none of the server's.
func lend(client, server net.Conn) {
	defer client.Close() //nolint:errcheck // the other side notices
	defer server.Close() //nolint:errcheck // the other side notices
	go func() {
		defer server.Close() //nolint:errcheck // the other side notices
		_, _ = io.Copy(server, client)
	}()
	head := make([]byte, 5)
	for {
		if _, err := io.ReadFull(server, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return
		}
		if head[0] == 'K' {
			body[3]++
		}
		if _, err := client.Write(append(bytes.Clone(head), body...)); err != nil {
			return
		}
	}
}

func TestASurveyNoticesAPooler(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(migrated(t).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	// Not the test's own directory: the path of a socket is short.
	dir, err := os.MkdirTemp("/tmp", "takt-pooler-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	name := "/.s.PGSQL." + cmp.Or(address.Port(), address.Query().Get("port"), "5432")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", dir+name)
	if err != nil {
		t.Fatal(err)
	}
	socket := address.Query().Get("host") + name
	var lent sync.WaitGroup
	lent.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := new(net.Dialer).DialContext(context.Background(), "unix", socket)
			if err != nil {
				_ = client.Close()
				continue
			}
			lent.Go(func() { lend(client, server) })
		}
	})
	address.RawQuery = url.Values{"host": {dir}}.Encode()
	db, err := storage.Open(t.Context(), postgresAt(address.String()))
	if err != nil {
		t.Fatal(err)
	}
	told, err := db.Survey(t.Context())
	if err := errors.Join(err, db.Close(), listener.Close(), os.RemoveAll(dir)); err != nil || !told.Proxied {
		t.Errorf("Survey through a pooler = %+v, %v, want it noticed", told, err)
	}
	lent.Wait()
}

func TestASurveyWaitsForNoServer(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // the test is over
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = storage.Open(ctx, postgresAt("postgres://"+listener.Addr().String()+"/d"))
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ports.ErrUnavailable) {
		t.Errorf("Open of a silent server = %v, want it given up", err)
	}
}

func TestThePlaceOfAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "shop.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path   string
		exists bool
	}{{path, true}, {filepath.Join(dir, "other.db"), false}, {filepath.Join(dir, "a", "b", "c.db"), false}} {
		place, err := storage.PlaceOf(c.path)
		if err != nil || place.Exists != c.exists || place.Dir != dir || !place.DirWritable || !place.Writable {
			t.Errorf("PlaceOf(%s) = %+v, %v, want it in %s, writable, there: %t", c.path, place, err, dir, c.exists)
		}
		if place.Owner != os.Geteuid() || place.Free == 0 || place.Network != "" {
			t.Errorf("PlaceOf(%s) = %+v, want one of this user on a disk of this host", c.path, place)
		}
	}
	if place, err := storage.PlaceOf(filepath.Join(path, "below.db")); err == nil {
		t.Errorf("PlaceOf below a file = %+v, want an error", place)
	}
}
