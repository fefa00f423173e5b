package cli_test

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/core/domain"
)

// atOutbox is an operator of a worker whose outbox is in a file.
type atOutbox struct {
	t    *testing.T
	path string
}

// newAtOutbox has rows in the outbox: 1 and 2 are refused, 3 is unknown, 4 waits.
func newAtOutbox(t *testing.T) *atOutbox {
	t.Helper()
	o := &atOutbox{t: t, path: filepath.Join(t.TempDir(), "worker.db")}
	db, err := storage.Open(t.Context(), storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: o.path}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // the test is over then
	tx, err := db.Bun().BeginTx(t.Context(), &sql.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	outbox := db.Outbox(storage.OutboxConfig{})
	for i, queue := range []domain.QueueName{"mail", "box", "mail", "mail"} {
		job := domain.NewJob{Queue: queue, Name: "send", Data: []byte(strconv.Itoa(i))}
		if err := outbox.Enqueue(t.Context(), storage.BunTx(tx), job); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{
		"UPDATE outbox SET state = 2, reason = 'no\nsuch \x1b[31mkey' WHERE id <= 2", "UPDATE outbox SET state = 3, tried_us = 1000000, reason = 'who knows' WHERE id = 3",
	} {
		if _, err := tx.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return o
}

// want runs a command and checks its exit code, and that it prints the texts.
func (o *atOutbox) want(code int, line string, texts ...string) output {
	o.t.Helper()
	i := args(append([]string{"outbox"}, strings.Fields(line)...)...)
	i.Environ, i.Now = environ("WORKER_DB_PATH="+o.path), time.Now
	got := run(o.t, i)
	if got.code != code {
		o.t.Errorf("worker outbox %s: exit code %d, want %d; it printed\n%s%s", line, got.code, code, got.stdout, got.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(got.stdout+got.stderr, text) {
			o.t.Errorf("worker outbox %s: no %q in\n%s%s", line, text, got.stdout, got.stderr)
		}
	}
	return got
}

// ids returns the rows that are listed.
func (o *atOutbox) ids(line string) (ids []int64) {
	o.t.Helper()
	var rows []struct{ ID int64 }
	got := o.want(cli.ExitOK, line+" --json")
	if err := json.Unmarshal([]byte(got.stdout), &rows); err != nil {
		o.t.Fatalf("worker outbox %s --json prints %q (%v)", line, got.stdout, err)
	}
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids
}

func (o *atOutbox) wantIDs(line string, want ...int64) {
	o.t.Helper()
	if got := o.ids(line); len(got) != len(want) {
		o.t.Errorf("worker outbox %s lists %d, want %d", line, got, want)
	} else {
		for i := range want {
			if got[i] != want[i] {
				o.t.Errorf("worker outbox %s lists %d, want %d", line, got, want)
			}
		}
	}
}

func TestOutboxShowsRowsThatAreSetAside(t *testing.T) {
	t.Parallel()
	o := newAtOutbox(t)
	got := o.want(cli.ExitOK, "", "ID  QUEUE  NAME  STATE    AGE", "1   mail   send  refused", "no …", "who knows")
	if strings.Contains(got.stdout, "\x1b") || strings.Count(got.stdout, "\n") != 4 {
		t.Errorf("the list shows what a terminal obeys, or more than it should:\n%q", got.stdout)
	}
	o.want(cli.ExitOK, "list --json --state refused --queue box", `"id": 2`, `"reason": "no\nsuch \u001b[31mkey"`, `"bytes": 1`)
	o.want(cli.ExitOK, "list --json --state unknown", `"triedAt": "1970-01-01T00:00:01Z"`)
	o.wantIDs("", 2, 1, 3)
	o.wantIDs("--limit 1", 2)
	o.want(cli.ExitOK, "--queue nowhere", "no row is set aside")
	o.want(cli.ExitOK, "--queue nowhere --json", "[]")
}

func TestOutboxRowsAreRetriedAndDropped(t *testing.T) {
	t.Parallel()
	o := newAtOutbox(t)
	o.want(cli.ExitOK, "drop --state refused --dry-run", "2 rows would be deleted")
	o.want(cli.ExitOK, "retry 3 --dry-run --json", `"operation": "retry"`, `"dryRun": true`, `"rows": 1`)
	o.wantIDs("", 2, 1, 3)
	o.want(cli.ExitBadData, "retry 1 4 99", "1 row to be handed over again", "not set aside: row 4, row 99")
	o.wantIDs("", 2, 3)
	o.want(cli.ExitBadData, "drop 1 --json", `"passedOver": [`)
	o.want(cli.ExitOK, "drop --state refused --queue mail", "0 rows deleted")
	o.want(cli.ExitOK, "drop --state refused --limit 5", "1 row deleted")
	o.want(cli.ExitOK, "drop 3 3", "1 row deleted")
	o.wantIDs("")
}

func TestOutboxRefusesWhatIsNotMeant(t *testing.T) {
	t.Parallel()
	o := newAtOutbox(t)
	o.want(cli.ExitUsage, "drop", "name rows by their ids, or say which by --state")
	o.want(cli.ExitUsage, "retry x", `ID "x": want the number of a row`)
	o.want(cli.ExitUsage, "retry 0", "want the number of a row")
	o.want(cli.ExitUsage, "--state odd", "want one of refused, unknown")
	o.want(cli.ExitUsage, "--limit 0", "want 1 to 10000")
	o.want(cli.ExitUsage, "drop --state refused --limit 0", "want 1 or more")
	o.want(cli.ExitUsage, "drpo", "did you mean")
	o.path = filepath.Join(t.TempDir(), "none.db")
	o.want(cli.ExitUnavailable, "", "storage holds no outbox", "there is no file")
}
