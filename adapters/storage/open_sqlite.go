package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
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
)

const defaultReaders = 4

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
	if err := prepareFile(config.Path); err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	if config.Readers <= 0 {
		config.Readers = defaultReaders
	}
	writer, err := sql.Open("sqlite", sqliteDSN(config.Path, "immediate"))
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	readers, err := sql.Open("sqlite", sqliteDSN(config.Path, "deferred")+"&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open storage: %w", err), writer.Close())
	}
	writer.SetMaxOpenConns(1)
	readers.SetMaxOpenConns(config.Readers)
	readers.SetMaxIdleConns(config.Readers)
	db := &DB{
		dialect: SQLite, bun: bun.NewDB(writer, sqlitedialect.New()),
		runner: sqliteRunner{writer: newPreparer(writer), readers: newPreparer(readers)},
		close:  func() error { return errors.Join(readers.Close(), writer.Close()) },
	}
	if err := db.Migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open storage: %w", err), db.close())
	}
	return db, nil
}

// sqliteDSN returns the file as the driver takes it. The settings are those of
// each connection: an update that finds another writer waits for it, a commit
// survives the process, and nothing in the file can run code.
func sqliteDSN(path, lock string) string {
	pragmas := []string{
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)", "trusted_schema(0)",
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?_txlock=" + lock + "&_pragma=" + strings.Join(pragmas, "&_pragma=")
}

// prepareFile creates the file for its owner alone, if it is not there.
func prepareFile(path string) error {
	if path == "" || strings.ContainsAny(path, "\x00?#") || strings.HasPrefix(path, ":") || strings.HasPrefix(path, "file:") {
		return domain.Invalidf("%s is no path of a SQLite file", domain.Quote(path))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the path is the operator's
	if err != nil {
		return err
	}
	return file.Close()
}
