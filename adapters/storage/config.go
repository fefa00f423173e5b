package storage

import (
	"net"
	"path"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Dialect says which database it is.
type Dialect string

const (
	// Postgres is a server, reached through a pool of connections.
	Postgres Dialect = "postgres"
	// SQLite is a file that belongs to the worker alone.
	SQLite Dialect = "sqlite"
)

// Config describes a database.
type Config struct {
	Dialect  Dialect
	Postgres PostgresConfig
	SQLite   SQLiteConfig
}

// Check returns [domain.ErrInvalid] for a configuration that makes no sense. It
// opens nothing.
func (c Config) Check() error {
	switch c.Dialect {
	case Postgres:
		t, err := targetOf(c.Postgres)
		if err == nil {
			_, err = t.poolConfig()
		}
		return err
	case SQLite:
		return checkPath(c.SQLite.Path)
	}
	return domain.Invalidf("dialect %s is neither %s nor %s", domain.Quote(string(c.Dialect)), Postgres, SQLite)
}

// Equal reports whether both describe the same database, opened alike.
func (c Config) Equal(other Config) bool {
	if !c.Postgres.URI.Equal(other.Postgres.URI) || !c.Postgres.Password.Equal(other.Postgres.Password) {
		return false
	}
	c.Postgres.URI, c.Postgres.Password = other.Postgres.URI, other.Postgres.Password
	return c == other
}

// String returns where the database is, without user and password.
func (c Config) String() string {
	if c.Dialect != Postgres {
		return string(c.Dialect) + ":" + c.SQLite.Path
	}
	t, err := targetOf(c.Postgres)
	switch {
	case err != nil:
		return string(Postgres)
	case path.IsAbs(t.Host):
		return "postgres:///" + t.Database + "?host=" + t.Host
	}
	return "postgres://" + net.JoinHostPort(t.Host, strconv.Itoa(t.Port)) + "/" + t.Database
}

// Defaults of [PostgresConfig].
const (
	DefaultPort     = 5432
	DefaultPoolSize = 10
	DefaultSchema   = "worker"
)

// PostgresConfig says where the server is and how to talk to it. Nothing is
// taken from PG* variables, .pgpass or service files.
type PostgresConfig struct {
	// URI is postgres://user:pass@host:port/database?sslmode=verify-full. If
	// it is set, Host, Port, Database, User and Password are not looked at,
	// and SSLMode only if the URI has none.
	URI domain.Secret
	// Host is a name, an address or the directory of a Unix socket; empty
	// means localhost.
	Host string
	// Port is [DefaultPort] if zero.
	Port int
	// Database and User are postgres if empty.
	Database, User string
	Password       domain.Secret
	// SSLMode is disable, require, verify-ca or verify-full; empty means
	// disable for this host and verify-full for others.
	SSLMode string
	// CACert holds the trusted authorities as PEM; empty means the system's.
	CACert string
	// Schema is the worker's own; empty means [DefaultSchema].
	Schema string
	// PoolSize bounds the connections; zero means [DefaultPoolSize].
	PoolSize int
	// ConnectTimeout bounds one attempt to connect; zero means 5 seconds.
	ConnectTimeout time.Duration
}

// SQLiteConfig says where the file is.
type SQLiteConfig struct {
	// Path is that of the file on a local file system. It is created if it is
	// not there, as its directory is.
	Path string
	// Foreign tells that the file belongs to another program. It must be there,
	// and neither its schema nor its journal is changed.
	Foreign bool
	// Readers bounds the connections that read beside the one that writes;
	// zero means 4.
	Readers int
	// Patience is how long a statement waits for another process that keeps the
	// file, which the end of a context does not shorten; zero means 5 seconds.
	Patience time.Duration
}
