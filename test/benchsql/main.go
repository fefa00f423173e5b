package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/test/figures"
	"github.com/taktwork/takt/test/pgtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := 0
	if args := os.Args[1:]; slices.Equal(args, []string{workerCommand}) {
		if err := work(ctx, os.Stdin, os.Stdout); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "benchsql worker:", err)
			code = 1
		}
	} else {
		code = run(ctx, args, os.Stdout, os.Stderr)
	}
	stop()
	os.Exit(code)
}

// options are the choices of the command line.
type options struct {
	pattern *regexp.Regexp
	json    bool
	// rounds is how often each figure is taken, ticks how many ticks, records or
	// jobs a round has, seconds how long a fleet or a steady load runs, records
	// how many are stored when the history is asked.
	rounds, ticks, seconds, records int
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("benchsql", flag.ContinueOnError)
	flags.SetOutput(stderr)
	pattern := flags.String("run", "", "measure the rows whose name matches the `regexp`")
	flags.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each figure is taken")
	flags.IntVar(&o.ticks, "ticks", 100_000, "ticks, records or jobs of each round")
	flags.IntVar(&o.seconds, "seconds", 20, "seconds for which a fleet of replicas, or the steady load of an outbox, runs")
	flags.IntVar(&o.records, "records", 1_000_000, "records stored when the history is asked")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	var err error
	switch o.pattern, err = regexp.Compile(*pattern); {
	case err != nil:
	case o.rounds < 1 || o.ticks < 1 || o.seconds < 1 || o.records < 1:
		err = errors.New("-rounds, -ticks, -seconds and -records are at least 1")
	default:
		return o, nil
	}
	_, _ = fmt.Fprintln(stderr, "benchsql:", err)
	return options{}, err
}

// run is the program but for the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	code, err := measure(ctx, o, figures.Reporter{JSON: o.json, Stdout: stdout, Stderr: stderr})
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "benchsql:", err)
		return 1
	}
	return code
}

// bench is what the rows measure on.
type bench struct {
	options

	server *pgtest.Server
	// dir is that of the SQLite files.
	dir string
}

// measure starts a server, has all rows measured and stops it.
func measure(ctx context.Context, o options, reporter figures.Reporter) (code int, err error) {
	b := &bench{options: o}
	if b.dir, err = os.MkdirTemp("", "benchsql-"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	// As Postgres comes, but for the settings that its manual asks one to raise.
	if b.server, err = pgtest.StartServer("fsync = on", "shared_buffers = 256MB", "max_wal_size = 4GB"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.server.Stop()) }()
	return reporter.Run(ctx, figures.Select(b.rows(), b.pattern)), nil
}

// rows are all measurements.
func (b *bench) rows() []figures.Row {
	return []figures.Row{
		{Name: "ticks-postgres", Measure: b.ticksOn(b.postgres, 20_000)},
		{Name: "ticks-sqlite", Measure: b.ticksOn(b.sqlite, 30_000)},
		{Name: "sync-postgres", Measure: b.syncOn(b.postgres)},
		{Name: "sync-sqlite", Measure: b.syncOn(b.sqlite)},
		{Name: "fleet-spread", Measure: b.fleet(spread)},
		{Name: "fleet-at-once", Measure: b.fleet(atOnce)},
		{Name: "workers-spread", Measure: b.workers(spread)},
		{Name: "workers-at-once", Measure: b.workers(atOnce)},
		{Name: "history-postgres", Measure: b.historyOn(b.postgres, 50_000)},
		{Name: "history-sqlite", Measure: b.historyOn(b.sqlite, 80_000)},
		{Name: "history-jobs", Measure: b.jobsInMemory},
		{Name: "history-jobs-redis", Measure: b.jobsInRedis},
		{Name: "queries-postgres", Measure: b.queriesOn(b.postgres, quietPast, "ANALYZE")},
		{Name: "queries-sqlite", Measure: b.queriesOn(b.sqlite, quietPast, "")},
		{Name: "queries-busy-postgres", Measure: b.queriesOn(b.postgres, busyPast, "ANALYZE")},
		{Name: "queries-busy-sqlite", Measure: b.queriesOn(b.sqlite, busyPast, "")},
		{Name: "outbox-postgres-memory", Measure: b.outboxOn(b.postgres, memoryQueue)},
		{Name: "outbox-postgres-redis", Measure: b.outboxOn(b.postgres, redisQueue)},
		{Name: "outbox-sqlite-memory", Measure: b.outboxOn(b.sqlite, memoryQueue)},
		{Name: "outbox-sqlite-redis", Measure: b.outboxOn(b.sqlite, redisQueue)},
	}
}

// opener opens a database; all that it opens with one name share it.
type opener func(ctx context.Context, name string) (*storage.DB, error)

// postgres opens the schema of a name.
func (b *bench) postgres(ctx context.Context, name string) (*storage.DB, error) {
	db, err := storage.Open(ctx, storage.Config{
		Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: b.server.URI, Schema: name},
	})
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// sqlite opens the file of a name.
func (b *bench) sqlite(ctx context.Context, name string) (*storage.DB, error) {
	return storage.Open(ctx, storage.Config{
		Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(b.dir, name+".db")},
	})
}
