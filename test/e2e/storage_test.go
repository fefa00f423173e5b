package e2e_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the outage is made in the worker's own file

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/pgtest"
)

// ticked is one line that a job left. Its subject is the planned instant, or the data
// of a queue job, which has none.
type ticked struct {
	job, subject, worker string
	planned, done        time.Time
}

// tickFile is what the jobs of workers leave behind.
type tickFile string

func newTickFile(t *testing.T) tickFile {
	t.Helper()
	return tickFile(filepath.Join(t.TempDir(), "ticks"))
}

// of returns the lines of the job, ordered by their ticks.
func (f tickFile) of(t *testing.T, job string) []ticked {
	t.Helper()
	lines := slices.DeleteFunc(f.all(t), func(tick ticked) bool { return tick.job != job })
	slices.SortFunc(lines, func(a, b ticked) int { return a.planned.Compare(b.planned) })
	return lines
}

// all returns the lines in the order in which they were written.
func (f tickFile) all(t *testing.T) []ticked {
	t.Helper()
	text, err := os.ReadFile(string(f))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var all []ticked
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 4 {
			continue
		}
		tick := ticked{job: words[0], subject: words[1], worker: words[2]}
		tick.planned, _ = time.Parse(time.RFC3339, words[1])
		if tick.done, err = time.Parse(time.RFC3339Nano, words[3]); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		all = append(all, tick)
	}
	return all
}

// waitFor waits until the lines of a job are as wanted.
func (f tickFile) waitFor(t *testing.T, job string, wanted func([]ticked) bool) {
	t.Helper()
	deadline := time.After(patience)
	for !wanted(f.of(t, job)) {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%s left %v within %s", job, f.of(t, job), patience)
		}
	}
}

func atLeast(count int) func([]ticked) bool {
	return func(all []ticked) bool { return len(all) >= count }
}

// misfireAfter is how late a tick may be and still just run.
const misfireAfter = 10 * time.Second

// wantEachOnce wants the ticks of every second once, and without a hole that is
// not the machine's: there the next one comes so late that others were missed.
func wantEachOnce(t *testing.T, all []ticked) {
	t.Helper()
	for i := 1; i < len(all); i++ {
		before, after := all[i-1], all[i]
		gap := after.planned.Sub(before.planned)
		if hole := gap > time.Second && after.done.Sub(before.planned) <= misfireAfter; hole || gap < time.Second {
			t.Errorf("after %+v comes %+v, want the next second", before, after)
		}
	}
}

// outage makes all ticks of the job since then undecided, as if no worker had
// lived.
type outage func(t *testing.T, job string, since time.Time)

func TestClaimsOutliveTheWorker(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) ([]string, outage){"sqlite": outageInSQLite, "postgres": outageInPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, outage := open(t)
			file := newTickFile(t)
			h := newHost(t, append(env, "WORKER_LEDGER=sql", "TICK_RECORDS="+string(file))...)
			first := h.start(t, slowBin, "run", "--log", "json")
			first.ready(t)
			file.waitFor(t, "ticks.second", atLeast(2))
			first.signal(t, syscall.SIGTERM)
			first.exit(t, 0)

			// Within ten seconds ticks are late; what is missed for longer is
			// caught up with once.
			restarted := time.Now()
			outage(t, "ticks.minute", restarted.Add(-5*time.Minute))
			before := len(file.of(t, "ticks.second"))
			second := h.start(t, slowBin, "run", "--log", "json")
			second.ready(t)
			file.waitFor(t, "ticks.second", atLeast(before+2))
			file.waitFor(t, "ticks.minute", atLeast(1))
			second.signal(t, syscall.SIGTERM)
			second.exit(t, 0)

			wantEachOnce(t, file.of(t, "ticks.second"))
			caughtUp := slices.DeleteFunc(file.of(t, "ticks.minute"), func(tick ticked) bool { return tick.planned.After(restarted) })
			caughtUp = slices.DeleteFunc(caughtUp, func(tick ticked) bool { return tick.done.Before(restarted) })
			if len(caughtUp) != 1 || restarted.Sub(caughtUp[0].planned) > time.Minute {
				t.Errorf("caught up with %v, want the latest of five missed ticks alone", caughtUp)
			}
		})
	}
}

func outageInSQLite(t *testing.T) ([]string, outage) {
	path := filepath.Join(t.TempDir(), "own.db")
	return []string{"WORKER_DB_PATH=" + path}, func(t *testing.T, job string, since time.Time) {
		t.Helper()
		db, err := sql.Open("sqlite", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close() //nolint:errcheck // written
		result, err := db.ExecContext(t.Context(), "UPDATE ledger_jobs SET cursor_ms = ? WHERE job = ?", since.UnixMilli(), job)
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := result.RowsAffected(); err != nil || rows != 1 {
			t.Fatalf("%d cursors moved, %v, want one", rows, err)
		}
	}
}

func outageInPostgres(t *testing.T) ([]string, outage) {
	uri := pgtest.Database(t)
	return onPostgres(t, uri), func(t *testing.T, job string, since time.Time) {
		t.Helper()
		pgtest.Exec(t, uri, "UPDATE worker.ledger_jobs SET cursor_ms = extract(epoch FROM timestamptz '"+
			since.UTC().Format(time.RFC3339)+"') * 1000 WHERE job = '"+job+"'")
	}
}

// onPostgres returns the environment of a worker that has no more rights in the
// database than it needs, with its schema.
func onPostgres(t *testing.T, uri domain.Secret) []string {
	t.Helper()
	migrate, run := pgtest.Roles(t, uri)
	newHost(t, "DB_TYPE=postgres", "DB_URI="+migrate.Reveal()).ask(t, workerBin, "migrate", "up").want(t, 0)
	return []string{"DB_TYPE=postgres", "DB_URI=" + run.Reveal()}
}

func TestWorkersOnOneDatabaseFireEachTickOnce(t *testing.T) {
	t.Parallel()
	file := newTickFile(t)
	env := append(onPostgres(t, pgtest.Database(t)), "TICK_RECORDS="+string(file))
	for _, deploy := range []string{"one", "two"} {
		var workers []*running
		for _, instance := range []string{"blue", "green"} {
			h := newHost(t, append(env, "WORKER_INSTANCE="+instance, "WORKER_DEPLOY_ID="+deploy)...)
			r := h.start(t, slowBin, "run", "--log", "json")
			r.ready(t)
			workers = append(workers, r)
		}
		before := len(file.of(t, "ticks.second"))
		file.waitFor(t, "ticks.second", atLeast(before+5))
		for _, r := range workers {
			r.signal(t, syscall.SIGTERM)
		}
		for _, r := range workers {
			r.exit(t, 0)
		}
	}
	wantEachOnce(t, file.of(t, "ticks.second"))
	if starts := file.of(t, "ticks.deploy"); len(starts) != 2 {
		t.Errorf("runs on start are %v, want one for each of two deploys", starts)
	}
}

func TestAWorkerWithoutItsSchemaSaysWhatToDo(t *testing.T) {
	t.Parallel()
	migrate, _ := pgtest.Roles(t, pgtest.Database(t))
	h := newHost(t, "DB_TYPE=postgres", "DB_URI="+migrate.Reveal(), "WORKER_LEDGER=sql")
	refused := h.start(t, workerBin, "run", "--log", "json")
	refused.exit(t, 78)
	refused.waitFor(t, "worker migrate up")
	h.ask(t, workerBin, "migrate", "status").want(t, 69, "to come")
	h.ask(t, workerBin, "migrate", "up").want(t, 0, "applied 0001_ledger.sql")
	h.ask(t, workerBin, "migrate", "status").want(t, 0, "0 migrations to come")
	r := h.start(t, workerBin, "run", "--log", "json")
	r.waitFor(t, `"ledger":"sql","ledger_scope":"fleet"`)
	r.ready(t)
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)
}

func TestADatabaseThatStaysDownEndsTheStart(t *testing.T) {
	t.Parallel()
	h := newHost(t, "DB_TYPE=postgres", "DB_URI=postgres:///shop?host=/nonexistent", "WORKER_START_TIMEOUT=1s")
	r := h.start(t, workerBin, "run", "--log", "json")
	r.exit(t, 69)
	r.waitFor(t, "storage not reachable yet")
	r.waitFor(t, "WORKER_START_TIMEOUT")
}
