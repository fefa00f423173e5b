package app_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/pgtest"
)

func inFile(path string) storage.Config {
	return storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: path}}
}

func inPostgres(uri domain.Secret) storage.Config {
	return storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: uri, PoolSize: 3}}
}

// greet is a feature of one scheduled job without a schedule.
func greet() app.Option { return jobs("f", app.Schedule("greet", nothing)) }

// started starts a worker that must start, and stops it with the test.
func started(t *testing.T, settings app.Settings, log *logbook, options ...app.Option) *app.App {
	t.Helper()
	worker, err := app.New(settings, log.logger(), options...)
	if err != nil {
		t.Fatalf("New = %v, want no error", err)
	}
	if err := worker.Start(t.Context()); err != nil {
		t.Fatalf("Start = %v, want no error", err)
	}
	t.Cleanup(func() {
		if report := worker.Stop(context.Background()); !report.Clean() {
			t.Errorf("Stop = %+v, want nothing left", report)
		}
	})
	return worker
}

func wantReady(t *testing.T, log *logbook, parts ...string) {
	t.Helper()
	if ready := log.lines(append(parts, "worker ready")...); len(ready) != 1 {
		t.Errorf("no ready line with %q in %q", parts, log.lines("worker ready"))
	}
}

func wantRun(t *testing.T, worker *app.App) {
	t.Helper()
	if report, err := worker.Service().TriggerNow(t.Context(), "greet"); err != nil || report.Event != domain.EventCompleted {
		t.Errorf("TriggerNow = %+v, %v, want completed", report, err)
	}
}

func TestTheWorkersFileIsMadeAndHoldsItsClaims(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "shop.db")
	var log logbook
	worker := started(t, app.Settings{Storage: inFile(path)}, &log, greet())
	wantReady(t, &log, "ledger=sql", "ledger_scope=host", "storage=sqlite:"+path)
	wantRun(t, worker)
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // read only
	var known int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM ledger_jobs WHERE job = 'greet'").Scan(&known); err != nil || known != 1 {
		t.Errorf("the file knows the job %d times, %v, want once", known, err)
	}
}

func TestWithoutASchemaInPostgresClaimsAreInMemoryWithOneWarning(t *testing.T) {
	t.Parallel()
	for name, ledger := range map[string]config.Ledger{"unset": "", "auto": config.LedgerAuto} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logbook
			_, without := pgtest.Roles(t, pgtest.Database(t))
			worker := started(t, app.Settings{Ledger: ledger, Storage: inPostgres(without)}, &log, greet())
			wantReady(t, &log, "ledger=memory", "ledger_scope=host")
			wantRun(t, worker)
			warnings := log.lines("level=WARN")
			if len(warnings) != 1 || !strings.Contains(warnings[0], "worker migrate up") || !strings.Contains(warnings[0], "DB_AUTO_MIGRATE=true") {
				t.Errorf("warnings = %q, want one that says what to do", warnings)
			}
		})
	}
}

func TestALedgerInSQLThatIsAskedForNeedsItsSchema(t *testing.T) {
	t.Parallel()
	uri, _ := pgtest.Roles(t, pgtest.Database(t))
	var log logbook
	settings := app.Settings{Ledger: config.LedgerSQL, Storage: inPostgres(uri), Platform: inPostgres(uri)}
	worker, err := app.New(settings, log.logger(), greet())
	if err != nil {
		t.Fatal(err)
	}
	err = worker.Start(t.Context())
	if !errors.Is(err, app.ErrStorage) || !errors.Is(err, storage.ErrSchema) || !strings.Contains(err.Error(), "worker migrate up") {
		t.Errorf("Start = %v, want ErrStorage that says what to do", err)
	}
	settings.AutoMigrate = true
	log = logbook{}
	wantRun(t, started(t, settings, &log, greet()))
	wantReady(t, &log, "ledger=sql", "ledger_scope=fleet", "storage=")
}

// Others may hold their claims beside an older schema, or one that is not seen: a
// worker with claims of its own would fire their ticks once more.
func TestAWorkerDoesNotLeaveTheClaimsOfOthers(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	older := pgtest.Migrate(t, database)
	var log logbook
	started(t, app.Settings{Storage: inPostgres(older)}, &log, greet())
	pgtest.Exec(t, database, "DELETE FROM worker.migrations WHERE version_id = (SELECT max(version_id) FROM worker.migrations)")
	hidden := pgtest.Database(t)
	pgtest.ExecRoles(t, hidden, "CREATE SCHEMA worker; REVOKE ALL ON SCHEMA worker FROM PUBLIC; CREATE ROLE "+strings.ToLower(t.Name())+" LOGIN")
	for name, c := range map[string]struct {
		storage storage.Config
		want    error
	}{
		"older schema":  {inPostgres(older), storage.ErrSchema},
		"hidden schema": {inPostgres(pgtest.As(t, hidden, strings.ToLower(t.Name()))), storage.ErrRefused},
	} {
		worker := build(t, app.Settings{Storage: c.storage}, greet())
		if err := worker.Start(t.Context()); !errors.Is(err, app.ErrStorage) || !errors.Is(err, c.want) {
			t.Errorf("%s: Start = %v, want %v", name, err, c.want)
		}
	}
	started(t, app.Settings{Storage: inPostgres(older), Ledger: config.LedgerMemory}, &log, greet())
	wantReady(t, &log, "ledger=memory")
}

func TestAStorageThatCannotBeUsedIsAnErrorOrAWarning(t *testing.T) {
	// Root writes everywhere; a file in the place of a directory stops it, too.
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	database := pgtest.Database(t)
	for name, c := range map[string]struct {
		settings app.Settings
		want     error
	}{
		"file":              {app.Settings{Storage: inFile(blocked + "/takt.db")}, app.ErrStorage},
		"file of rubbish":   {app.Settings{Storage: inFile(rubbish(t))}, app.ErrStorage},
		"user":              {app.Settings{Storage: inPostgres(pgtest.As(t, database, "nobody_knows"))}, app.ErrStorage},
		"user, for history": {app.Settings{Ledger: config.LedgerMemory, Storage: inPostgres(pgtest.As(t, database, "nobody_knows"))}, app.ErrStorage},
		"platform's user":   {app.Settings{Platform: inPostgres(pgtest.As(t, database, "nobody_knows"))}, app.ErrStorage},
		"platform's file":   {app.Settings{Platform: foreign(rubbish(t))}, app.ErrStorage},
		"file, for history": {app.Settings{Ledger: config.LedgerMemory, Storage: inFile(blocked + "/takt.db")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var log logbook
			worker, err := app.New(c.settings, log.logger(), greet())
			if err != nil {
				t.Fatal(err)
			}
			err = worker.Start(t.Context())
			defer worker.Stop(context.WithoutCancel(t.Context()))
			if !errors.Is(err, c.want) || (c.want == nil && len(log.lines("storage is not used", "WORKER_DB_PATH")) != 1) {
				t.Errorf("Start = %v with %q, want %v", err, log.lines("level=WARN"), c.want)
			}
			if troubles := app.Troubles(worker); err == nil && (len(troubles) != 1 || !strings.Contains(troubles[0], "storage is not used, so history is that of this process")) {
				t.Errorf("troubles are %q, want the storage that is not used", troubles)
			}
		})
	}
}

func foreign(path string) storage.Config {
	return storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: path, Foreign: true}}
}

// rubbish is a file that is no database.
func rubbish(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rubbish.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("rubbish "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestADatabaseThatIsDownIsWaitedFor(t *testing.T) {
	link := linked(t, pgtest.Database(t))
	link.cut(t)
	settings := app.Settings{Storage: inPostgres(link.uri)}
	var log logbook
	worker, err := app.New(settings, log.logger(), greet())
	if err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := worker.Start(brief); !errors.Is(err, ports.ErrUnavailable) {
		t.Errorf("Start while it is down = %v, want ErrUnavailable", err)
	}
	if waiting := log.lines("storage not reachable yet"); len(waiting) != 1 {
		t.Errorf("waiting is told %d times, want once", len(waiting))
	}
	worker, err = app.New(settings, log.logger(), greet())
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Stop(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- worker.Start(t.Context()) }()
	waitFor(t, func() bool { return len(log.lines("storage not reachable yet")) == 2 })
	link.mend(t)
	if err := <-ended; err != nil {
		t.Errorf("Start after it came back = %v, want no error", err)
	}
}

func TestADatabaseThatFailsLaterIsTroubleUntilItComesBack(t *testing.T) {
	link := linked(t, pgtest.Database(t))
	var log logbook
	worker := started(t, app.Settings{Storage: inPostgres(link.uri)}, &log, greet())
	if got := app.Troubles(worker); len(got) > 0 {
		t.Errorf("troubles = %q, want none", got)
	}
	link.cut(t)
	waitFor(t, func() bool { return len(app.Troubles(worker)) == 1 })
	if got := app.Troubles(worker); len(got) != 1 || !strings.Contains(got[0], "storage has not answered for") {
		t.Errorf("troubles = %q, want storage", got)
	}
	link.mend(t)
	waitFor(t, func() bool { return len(app.Troubles(worker)) == 0 })
	wantRun(t, worker)
}

// link is a way to a database that can be cut: the directory of the server's
// socket under another name.
type link struct {
	uri, direct domain.Secret
	path, dir   string
	database    string
}

func linked(t *testing.T, uri domain.Secret) *link {
	t.Helper()
	works := pgtest.Migrate(t, uri)
	address, err := url.Parse(uri.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: the path of a socket is short.
	place, err := os.MkdirTemp("/tmp", "takt") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(place) })
	l := &link{direct: uri, path: place + "/pg", dir: address.Query().Get("host"), database: strings.TrimPrefix(address.Path, "/")}
	l.uri = domain.NewSecret(strings.Replace(works.Reveal(), l.dir, l.path, 1))
	l.mend(t)
	return l
}

func (l *link) mend(t *testing.T) {
	t.Helper()
	if err := os.Symlink(l.dir, l.path); err != nil {
		t.Fatal(err)
	}
}

func (l *link) cut(t *testing.T) {
	t.Helper()
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, l.direct, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+l.database+"' AND pid <> pg_backend_pid()")
}

// waitFor waits for what must come; the test's own timeout ends the wait.
func waitFor(t *testing.T, happened func() bool) {
	t.Helper()
	for !happened() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("it never happened")
		}
	}
}

// peek is a feature that looks at the platform's database when it starts.
func peek(into *[]*storage.DB) app.Option {
	return app.Feature("peek", func(database *app.Database, l app.Lifecycle) app.Contribution {
		look := func(context.Context) error {
			db, _ := database.DB()
			*into = append(*into, db)
			return nil
		}
		_ = look(context.Background())
		l.Append(app.Hook{OnStart: look, OnStop: look})
		return app.Contribution{}
	})
}

func TestFeaturesAreGivenThePlatformsDatabase(t *testing.T) {
	t.Parallel()
	uri := pgtest.Migrate(t, pgtest.Database(t))
	for name, c := range map[string]struct {
		settings app.Settings
		want     storage.Dialect
	}{
		"none":                  {app.Settings{Storage: inFile(filepath.Join(t.TempDir(), "own.db"))}, ""},
		"file":                  {app.Settings{Platform: foreign(platformFile(t))}, storage.SQLite},
		"file beside a file":    {app.Settings{Storage: inFile(filepath.Join(t.TempDir(), "own.db")), Platform: foreign(platformFile(t))}, storage.SQLite},
		"postgres":              {app.Settings{Platform: inPostgres(uri)}, storage.Postgres},
		"postgres with storage": {app.Settings{Storage: inPostgres(uri), Platform: inPostgres(uri)}, storage.Postgres},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen []*storage.DB
			var log logbook
			worker, err := app.New(c.settings, log.logger(), peek(&seen))
			if err != nil {
				t.Fatal(err)
			}
			if err := worker.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			worker.Stop(context.WithoutCancel(t.Context()))
			if len(seen) != 3 || seen[0] != nil || seen[1] != seen[2] || (seen[1] != nil) != (c.want != "") {
				t.Fatalf("DB() = %v when built, started and stopped; want one from start to stop", seen)
			}
			if c.want != "" && seen[1].Dialect() != c.want {
				t.Errorf("Dialect = %s, want %s", seen[1].Dialect(), c.want)
			}
		})
	}
}

// platformFile is a database of another program, whose journal is not the
// worker's kind.
func platformFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "platform.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // written
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE tokens (id int)"); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestThePlatformsFileIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	path := platformFile(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var seen []*storage.DB
	var log logbook
	worker := started(t, app.Settings{Platform: foreign(path)}, &log, peek(&seen))
	var tables int
	if err := seen[1].Bun().NewRaw("SELECT count(*) FROM sqlite_master").Scan(t.Context(), &tables); err != nil || tables != 1 {
		t.Errorf("the file has %d tables, %v, want its own", tables, err)
	}
	worker.Stop(context.WithoutCancel(t.Context()))
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed (%v), want it as it was", err)
	}
	if left, err := filepath.Glob(path + "-*"); err != nil || len(left) > 0 {
		t.Errorf("beside the file: %v, %v, want nothing", left, err)
	}
}

func TestThePlatformsFileUnderAnotherNameIsNotTakenForTheWorkers(t *testing.T) {
	t.Parallel()
	path := platformFile(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	alias := filepath.Join(t.TempDir(), "own.db")
	if err := os.Symlink(path, alias); err != nil {
		t.Fatal(err)
	}
	var log logbook
	worker, err := app.New(app.Settings{Storage: inFile(alias), Platform: foreign(path)}, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(t.Context()); !errors.Is(err, app.ErrStorage) || !strings.Contains(err.Error(), "WORKER_DB_PATH") {
		t.Errorf("Start = %v, want ErrStorage", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed (%v), want it as it was", err)
	}
}

func TestSettingsOfADatabaseThatMakeNoSenseAreMistakes(t *testing.T) {
	got := problems(t, app.Settings{
		Ledger: config.LedgerSQL, Platform: storage.Config{Dialect: "mysql"},
	})
	if len(got) != 2 || !strings.Contains(got[0], "platform: dialect \"mysql\"") || !strings.Contains(got[1], `ledger "sql" without Storage`) {
		t.Errorf("problems = %q, want those of platform and ledger", got)
	}
	got = problems(t, app.Settings{Storage: inFile(":memory:")})
	if len(got) != 1 || !strings.Contains(got[0], "storage: ") {
		t.Errorf("problems = %q, want that of the file", got)
	}
}

// Nobody takes jobs from a queue in memory once the worker stops: the run that would
// put one there is left to the next worker.
func TestARunThatEndsWhileTheWorkerStopsIsNotLostWithTheMemory(t *testing.T) {
	t.Parallel()
	settings := app.Settings{Storage: inFile(filepath.Join(t.TempDir(), "worker.db")), ShutdownTimeout: time.Second}
	handled := make(chan string, 1)
	feature := func(payload string, run app.RunFunc) app.Option {
		return contribute("mail", app.Contribution{
			Queues: []string{"mail"},
			Jobs: []app.ScheduledJob{app.Schedule("send", func(ctx context.Context, r app.Run) (any, error) {
				_, err := run(ctx, r)
				return payload, err
			}, app.ToQueue("mail"))},
			Handlers: []app.Handler{app.Handle("mail", "send", func(_ context.Context, job app.Job[string]) (any, error) {
				handled <- job.Data
				return nil, nil
			})},
		})
	}
	begun := make(chan struct{})
	var log logbook
	first, err := app.New(settings, log.logger(), feature("first", func(ctx context.Context, _ app.Run) (any, error) {
		close(begun)
		<-ctx.Done() // and the work is done all the same
		return nil, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	triggered := make(chan app.RunReport)
	go func() {
		report, _ := first.Service().TriggerNow(context.WithoutCancel(t.Context()), "send")
		triggered <- report
	}()
	<-begun
	if report := first.Stop(context.Background()); report.Runs != 1 || len(report.Dropped) > 0 || report.Err != nil {
		t.Fatalf("Stop = %+v, want the run given back and no job dropped", report)
	}
	if report := <-triggered; report.Event != domain.EventReleased {
		t.Errorf("TriggerNow = %+v, want released", report)
	}
	started(t, settings, &log, feature("second", nothing))
	if got := <-handled; got != "second" {
		t.Errorf("handled is the job of the %s worker, want that of the second", got)
	}
}
