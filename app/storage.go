package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// ErrStorage says that storage answers and cannot be used, or not without a
// change to it: it has no schema of this version, it knows no such user, or a
// file cannot be written.
var ErrStorage = errors.New("storage cannot be used")

// databases are the worker's own database and the platform's.
type databases struct {
	settings Settings
	log      *slog.Logger
	platform *Database
	// own is open while the worker runs, if its schema is that of this version;
	// opened is whatever is open, each once.
	own    atomic.Pointer[storage.DB]
	opened atomic.Pointer[[]namedDB]
	// unused says why the worker goes on without its own.
	unused atomic.Pointer[string]
}

type namedDB struct {
	name string
	*storage.DB
}

// open waits for the databases until ctx ends.
func (d *databases) open(ctx context.Context) error {
	s := d.settings
	own, err := d.openOwn(ctx)
	if err != nil {
		return err
	}
	if s.Platform.Dialect == "" {
		return nil
	}
	platform := own
	if own == nil || !s.Platform.Equal(s.Storage) {
		if platform, err = d.openOne(ctx, "platform's database", s.Platform); err != nil {
			return d.refusal("platform's database", s.Platform, err)
		}
	}
	d.platform.db.Store(platform)
	return nil
}

// openOwn returns the worker's database, if it could be opened, and keeps it as
// its own if it has the schema. A worker whose claims live elsewhere, or could,
// goes on without.
func (d *databases) openOwn(ctx context.Context) (*storage.DB, error) {
	s := d.settings
	if !s.hasStorage() {
		return nil, nil //nolint:nilnil // nothing to open
	}
	if isSameFile(s.Storage, s.Platform) {
		return nil, fmt.Errorf("%w: %s is the platform's file under another name; set WORKER_DB_PATH to one of the worker's own", ErrStorage, s.Storage)
	}
	db, err := d.openOne(ctx, "storage", s.Storage)
	if err == nil {
		if err = d.patiently(ctx, s.Storage, func() error { return d.prepare(ctx, db) }); err == nil {
			d.own.Store(db)
			return db, nil
		}
	}
	// Only where no worker can have claims yet, another place for them harms nobody:
	// beside an older schema, or one that is not seen, other workers may hold theirs.
	needed := s.Ledger == config.LedgerSQL || (s.Ledger == config.LedgerAuto && !errors.Is(err, storage.ErrNoSchema))
	if needed || !isUnusable(err) || (db == nil && s.Storage.Dialect == storage.Postgres) {
		return nil, d.refusal("storage", s.Storage, err)
	}
	without := "history is that of this process"
	if s.Ledger == config.LedgerAuto {
		without = "claims and history are in memory, and other workers know nothing of them"
	}
	unused := fmt.Sprintf("storage is not used, so %s until the next start: %s", without, domain.CleanText(err.Error(), domain.MaxReason))
	d.unused.Store(&unused)
	d.log.WarnContext(ctx, "storage is not used", "without", without, "storage", s.Storage.String(), "err", err, "remedy", remedy(s.Storage, err))
	return db, nil
}

// isSameFile reports whether both are one file, under whatever names.
func isSameFile(own, platform storage.Config) bool {
	if own.Dialect != storage.SQLite || platform.Dialect != storage.SQLite {
		return false
	}
	one, err := os.Stat(own.SQLite.Path)
	if err != nil {
		return false
	}
	other, err := os.Stat(platform.SQLite.Path)
	return err == nil && os.SameFile(one, other)
}

// refusal words why the worker does not start.
func (d *databases) refusal(name string, config storage.Config, err error) error {
	if !isUnusable(err) {
		return fmt.Errorf("open %s %s: %w", name, config, err)
	}
	return fmt.Errorf("%w: %s %s: %w; %s", ErrStorage, name, config, err, remedy(config, err))
}

// isUnusable reports whether waiting would not help.
func isUnusable(err error) bool {
	return !errors.Is(err, ports.ErrUnavailable) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// remedy is what to do about a database that cannot be used.
func remedy(config storage.Config, err error) string {
	switch {
	case config.Dialect == storage.SQLite && config.SQLite.Foreign:
		return "set DB_PATH to a SQLite file that this user may write"
	case config.Dialect == storage.SQLite:
		return "set WORKER_DB_PATH or WORKER_DATA_DIR to a place that this user may write"
	case errors.Is(err, storage.ErrSchema):
		return `run "worker migrate up" and start again, or set DB_AUTO_MIGRATE=true`
	}
	return "check DB_USER, DB_PASS, DB_NAME and the rights of that user"
}

// prepare makes sure of the schema.
func (d *databases) prepare(ctx context.Context, db *storage.DB) error {
	if d.settings.AutoMigrate {
		if err := db.Migrate(ctx); err != nil {
			return err
		}
	}
	return db.CheckSchema(ctx)
}

// openOne opens a database and waits for it while it is down.
func (d *databases) openOne(ctx context.Context, name string, config storage.Config) (db *storage.DB, err error) {
	err = d.patiently(ctx, config, func() error {
		db, err = storage.Open(ctx, config)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.keep(namedDB{name, db})
	return db, nil
}

// patiently repeats what a database that is down keeps from being done.
func (d *databases) patiently(ctx context.Context, config storage.Config, do func() error) error {
	var failing waiting
	for {
		err := do()
		if err == nil || !errors.Is(err, ports.ErrUnavailable) {
			return failing.orLatest(err)
		}
		if failing.latest == nil {
			d.log.WarnContext(ctx, "storage not reachable yet", "storage", config.String(), "err", err)
		}
		if !failing.pause(ctx, err) {
			return err
		}
	}
}

func (d *databases) keep(db namedDB) {
	all := append([]namedDB{db}, d.all()...)
	d.opened.Store(&all)
}

func (d *databases) all() []namedDB {
	if all := d.opened.Load(); all != nil {
		return *all
	}
	return nil
}

// close closes what is open, the last first.
func (d *databases) close() error {
	var errs []error
	if all := d.opened.Swap(nil); all != nil {
		for _, db := range *all {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// problems are the databases that do not answer, or that the worker goes on
// without.
func (d *databases) problems() []string {
	var found []string
	if unused := d.unused.Load(); unused != nil {
		found = append(found, *unused)
	}
	for _, db := range d.all() {
		if since, latest := db.Health(); !since.IsZero() {
			found = append(found, fmt.Sprintf("%s has not answered for %s: %s",
				db.name, time.Since(since).Round(time.Second), domain.CleanText(latest.Error(), domain.MaxReason)))
		}
	}
	return found
}

// Pauses between attempts to reach a database.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = 5 * time.Second
)

// waiting is the wait for something that is down.
type waiting struct {
	next   time.Duration
	latest error
}

// pause waits longer each time; false means that ctx ended.
func (w *waiting) pause(ctx context.Context, err error) bool {
	w.latest = err
	w.next = min(max(2*w.next, firstPause), mostPause)
	timer := time.NewTimer(w.next)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// orLatest returns what went wrong before the end of the wait, if it was that
// which ended the attempt.
func (w *waiting) orLatest(err error) error {
	if w.latest != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return w.latest
	}
	return err
}
