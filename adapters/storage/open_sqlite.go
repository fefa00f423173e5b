package storage

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

const (
	defaultReaders  = 4
	defaultPatience = 5 * time.Second
)

// nowFunction is the store's time in SQL: SQLite's own clock counts
// milliseconds.
const nowFunction = "takt_now_us"

// registerNow adds the function to the driver, once.
//
//nolint:gochecknoglobals // the driver is global, too
var registerNow = sync.OnceValue(func() error {
	return sqlite.RegisterScalarFunction(nowFunction, 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return time.Now().UnixMicro(), nil
	})
})

func openSQLite(ctx context.Context, config SQLiteConfig) (*DB, error) {
	if err := registerNow(); err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	if err := prepareFile(config); err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	if config.Readers <= 0 {
		config.Readers = defaultReaders
	}
	writer, err := sql.Open("sqlite", sqliteDSN(config, "immediate")+forBatches)
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	readers, err := sql.Open("sqlite", sqliteDSN(config, "deferred")+"&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open storage: %w", err), writer.Close())
	}
	// The application's transactions are as long as it likes: its connection is
	// not that of the ports, which wait for the file with a bound.
	application, err := sql.Open("sqlite", sqliteDSN(config, "immediate"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open storage: %w", err), readers.Close(), writer.Close())
	}
	application.SetMaxOpenConns(1)
	writer.SetMaxOpenConns(1)
	readers.SetMaxOpenConns(config.Readers)
	readers.SetMaxIdleConns(config.Readers)
	watched := &health{}
	lite := sqliteRunner{writer: newPreparer(writer), readers: newPreparer(readers)}
	db := &DB{
		dialect: SQLite, health: watched,
		standard: func() *sql.DB { return writer },
		bun:      sync.OnceValue(func() *bun.DB { return bun.NewDB(application, sqlitedialect.New()) }),
		runner:   watchedRunner{runner: lite, health: watched},
		transact: func(ctx context.Context, texts []string, do func(*sqliteTx) error) error {
			return watched.note(lite.transact(ctx, texts, do))
		},
		close: func() error { return errors.Join(application.Close(), readers.Close(), writer.Close()) },
	}
	begin := db.Migrate
	if config.Foreign {
		begin = writer.PingContext
	}
	if err := whileBusy(ctx, begin); err != nil {
		return nil, errors.Join(fmt.Errorf("open storage: %w", translate(ctx, err)), db.close())
	}
	return db, nil
}

// forBatches lets the writer keep the pages of a batch of records, which lie all
// over the indexes, until it commits: with SQLite's own 2 MB they are written,
// read and written again. The log grows to 16 MB before it is copied back, which
// spares a fifth of that work.
const forBatches = "&_pragma=cache_size(-8192)&_pragma=wal_autocheckpoint(4000)"

// openPatience bounds the wait for another process that opens the file, too:
// SQLite itself does not wait for the lock while it changes the journal's mode.
const openPatience = 5 * time.Second

// whileBusy tries again while another process is at it.
func whileBusy(ctx context.Context, begin func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	for {
		err := begin(ctx)
		if !isBusy(err) {
			return err
		}
		select {
		case <-time.After(time.Duration(1+rand.IntN(20)) * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// sqliteDSN returns the file as the driver takes it. The settings are those of
// each connection: an update that finds another writer waits for it, a commit
// survives the process, nothing in the file can run code, and no statement can
// harm the file itself.
func sqliteDSN(config SQLiteConfig, lock string) string {
	pragmas := []string{fmt.Sprintf("busy_timeout(%d)", cmp.Or(config.Patience, defaultPatience).Milliseconds()), "synchronous(NORMAL)", "foreign_keys(1)", "trusted_schema(0)"}
	if !config.Foreign {
		pragmas = append(pragmas, "journal_mode(WAL)")
	}
	return "file:" + (&url.URL{Path: config.Path}).EscapedPath() + "?_defensive=1&_txlock=" + lock + "&_pragma=" + strings.Join(pragmas, "&_pragma=")
}

func checkPath(path string) error {
	if path == "" || strings.ContainsAny(path, "\x00?#") || strings.HasPrefix(path, ":") || strings.HasPrefix(path, "file:") {
		return domain.Invalidf("%s is no path of a SQLite file", domain.Quote(path))
	}
	return nil
}

// prepareFile creates the file for its owner alone, if it is not there. One of
// another program is waited for.
func prepareFile(config SQLiteConfig) error {
	if err := checkPath(config.Path); err != nil {
		return err
	}
	flags := os.O_RDWR | os.O_CREATE
	if config.Foreign {
		flags = os.O_RDWR
	} else if err := os.MkdirAll(filepath.Dir(config.Path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(config.Path, flags, 0o600)
	if config.Foreign && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	if err != nil {
		return err
	}
	return file.Close()
}
