package storage

import (
	"context"
	"crypto/x509"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/taktwork/takt/core/domain"
)

// Times of the pool.
const (
	defaultConnectTimeout = 5 * time.Second
	connectionLifetime    = time.Hour
	connectionIdleTime    = 5 * time.Minute
	// A call whose context ends waits so long for its answer before the server
	// is asked to stop, and so long in all before the connection is given up.
	cancelDelay, giveUpDelay = 200 * time.Millisecond, time.Second
)

func openPostgres(ctx context.Context, config PostgresConfig) (*DB, error) {
	target, err := targetOf(config)
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	poolConfig, err := target.poolConfig()
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", translate(ctx, err))
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open storage: %w", translate(ctx, err))
	}
	watched := &health{}
	standard := sync.OnceValue(func() *sql.DB { return stdlib.OpenDBFromPool(pool) })
	return &DB{
		dialect: Postgres, schema: target.Schema, standard: standard,
		bun:    sync.OnceValue(func() *bun.DB { return bun.NewDB(standard(), pgdialect.New()) }),
		runner: watchedRunner{runner: postgresRunner{pool: pool}, health: watched}, health: watched,
		connect: func(ctx context.Context) (*pgx.Conn, error) {
			return pgx.ConnectConfig(ctx, listening(poolConfig.ConnConfig))
		},
		close: func() error {
			err := standard().Close()
			pool.Close()
			return err
		},
	}, nil
}

// listening returns the configuration of a connection that waits for what the server
// tells: when its context ends, there is no answer worth to wait for.
func listening(config *pgx.ConnConfig) *pgx.ConnConfig {
	config = config.Copy()
	config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: c.Conn()}
	}
	return config
}

// poolConfig returns what pgx needs to know.
func (t *target) poolConfig() (*pgxpool.Config, error) {
	config, err := parseUnswayed(t.settings())
	if err != nil {
		// The text of the error may hold settings; which they are is known.
		return nil, domain.Invalidf("the settings of Postgres make no sense to its driver")
	}
	conn := config.ConnConfig
	conn.Host, conn.Port, conn.Database = t.Host, uint16(t.Port), t.Database //nolint:gosec // checked
	conn.User, conn.Password = t.User, t.Password.Reveal()
	conn.ConnectTimeout = t.ConnectTimeout
	conn.Fallbacks = nil
	// By default the end of a context closes the connection: many at once, and
	// the server is stormed by new ones.
	conn.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, CancelRequestDelay: cancelDelay, DeadlineDelay: giveUpDelay}
	}
	conn.RuntimeParams = map[string]string{
		"application_name": "takt", "timezone": "UTC", "search_path": pgx.Identifier{t.Schema}.Sanitize(),
		// A host that vanishes in the middle of a write holds its locks until the
		// server gives its connection up: by default for two hours.
		"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "2", "tcp_user_timeout": "15000",
	}
	if t.CACert != "" && conn.TLSConfig != nil {
		authorities := x509.NewCertPool()
		if !authorities.AppendCertsFromPEM([]byte(t.CACert)) {
			return nil, domain.Invalidf("the authorities of Postgres are no PEM certificates")
		}
		conn.TLSConfig.RootCAs = authorities
	}
	config.MaxConns = int32(t.PoolSize) //nolint:gosec // checked
	config.MinConns, config.MinIdleConns = 0, 0
	config.MaxConnLifetime, config.MaxConnLifetimeJitter = connectionLifetime, connectionLifetime/10
	config.MaxConnIdleTime = connectionIdleTime
	return config, nil
}

// settings returns those that pgx must see while it parses. All others are
// set on its result.
func (t *target) settings() string {
	mode := t.SSLMode
	if mode == "require" && t.CACert != "" {
		mode = "verify-ca" // as libpq does
	}
	// Empty paths keep pgx from the files of the home directory.
	return fmt.Sprintf("host='%s' port=%d user=takt dbname=takt password=takt sslmode=%s sslcert='' sslkey='' sslrootcert='' target_session_attrs=any",
		strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(t.Host), t.Port, mode)
}

// environment guards the moment in which PG* variables are out of the way.
//
//nolint:gochecknoglobals // the environment is global, too
var environment sync.Mutex

// parseUnswayed lets pgx parse settings without the PG* variables, which it
// has no switch to ignore: PGSERVICE alone may redirect a connection.
func parseUnswayed(settings string) (*pgxpool.Config, error) {
	environment.Lock()
	defer environment.Unlock()
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "PG") {
			if err := os.Unsetenv(name); err != nil {
				return nil, err
			}
			defer os.Setenv(name, value) //nolint:errcheck // it was set before
		}
	}
	return pgxpool.ParseConfig(settings)
}
