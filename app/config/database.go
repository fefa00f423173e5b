package config

import (
	"path/filepath"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// DatabaseType says which database the platform has.
type DatabaseType string

// The types.
const (
	// DatabasePostgres is a server.
	DatabasePostgres DatabaseType = "postgres"
	// DatabaseSQLite is a file.
	DatabaseSQLite DatabaseType = "sqlite"
)

// Database says where the platform's database is and as whom to connect.
// However it is printed, it shows no password.
type Database struct {
	Type DatabaseType
	// Path is that of the SQLite file. What follows is for Postgres.
	Path string
	// Host is a name, an address or the directory of a Unix socket.
	Host string
	Port int
	// Name is that of the database.
	Name     string
	User     string
	Password domain.Secret
	// SSLMode is disable, require, verify-ca or verify-full.
	SSLMode string
	// CACert holds the trusted authorities as PEM; empty means the system's.
	CACert string
	// PoolSize bounds the connections.
	PoolSize int
}

// Storage says where the worker keeps its own tables.
type Storage struct {
	// Path is the worker's own SQLite file; empty if its tables are in the
	// platform's Postgres.
	Path string `env:"WORKER_DB_PATH"`
	// DataDir is the directory of durable files. It need not exist, and is
	// empty if nothing needs it and the environment knows of no home.
	DataDir string `env:"WORKER_DATA_DIR"`
	// AutoMigrate brings the schema in Postgres up to date at start.
	AutoMigrate bool `env:"DB_AUTO_MIGRATE"`
	// HistoryMaxAge is how long records of runs and jobs are kept.
	HistoryMaxAge time.Duration `env:"WORKER_HISTORY_MAX_AGE"`
	// HistoryMaxRecords is how many of them are kept.
	HistoryMaxRecords int `env:"WORKER_HISTORY_MAX_RECORDS"`
}

// Database returns the platform's database, and whether there is one.
func (c *Config) Database() (Database, bool) {
	if c.database == nil {
		return Database{}, false
	}
	return *c.database, true
}

// databaseParts are read, resolved into Database and not kept.
type databaseParts struct {
	Type       DatabaseType `env:"DB_TYPE"`
	URI        string       `env:"DB_URI"`
	Host       string       `env:"DB_HOST"`
	Port       int          `env:"DB_PORT"`
	Name       string       `env:"DB_NAME"`
	User       string       `env:"DB_USER"`
	Pass       string       `env:"DB_PASS"`
	SSLMode    string       `env:"DB_SSL_MODE"`
	RequireTLS bool         `env:"DB_REQUIRE_TLS"`
	CACert     string       `env:"DB_CA_CERT"`
	PoolSize   int          `env:"DB_POOL_SIZE"`
	Path       string       `env:"DB_PATH"`
}

// databaseGroup are the variables that say together where Postgres is. They
// count from one origin: that of the highest rank which sets any of them.
func databaseGroup() []string {
	return []string{nameDBURI, nameDBHost, nameDBPort, nameDBName, nameDBUser, nameDBPass, nameDBSSLMode}
}

// resolveDatabase completes the platform's database, if there is one: only then
// are files looked at, and variables beside one another.
func (l *loader) resolveDatabase(target *decoded) {
	parts := target.Database
	if l.values[nameDBType].bad {
		return
	}
	switch parts.Type {
	case DatabasePostgres:
		target.Config.database = l.postgres(parts)
	case DatabaseSQLite:
		target.Config.database = l.sqlite(parts)
	default:
		l.wantDatabaseType()
	}
}

// wantDatabaseType reports a database that is described and would not be used.
func (l *loader) wantDatabaseType() {
	for _, name := range []string{nameDBURI, nameDBHost, nameDBName, nameDBUser, nameDBPass, nameDBPath} {
		if !l.values[name].set {
			continue
		}
		problem := l.mistakeHere(nameDBType, "unset, although "+name+" is set ("+l.values[name].origin.String()+")")
		problem.Got = ""
		l.report(problem)
		return
	}
}

// sqlite is nil without a path: the reference's own settings have none.
func (l *loader) sqlite(parts databaseParts) *Database {
	if l.values[nameDBPath].bad || parts.Path == "" {
		return nil
	}
	path := l.absolute(parts.Path)
	l.settle(nameDBPath, path)
	return &Database{Type: DatabaseSQLite, Path: path}
}

func (l *loader) postgres(parts databaseParts) *Database {
	l.warnOfOtherOrigins(databaseGroup(), nameDBURI, nameDBHost)
	l.warnOfBlanks(nameDBUser, nameDBPass)
	address, ok := l.databaseAddress(parts)
	if !ok || l.values[nameDBSSLMode].bad {
		return nil // What follows would be guesses.
	}
	mode := l.sslMode(address, parts)
	return &Database{
		Type: DatabasePostgres, Host: address.host, Port: address.port, Name: address.name,
		User: address.user, Password: domain.NewSecret(address.password),
		SSLMode: mode, CACert: l.databaseAuthorities(mode, parts.CACert), PoolSize: parts.PoolSize,
	}
}

// databaseAddress takes the address from the URI, or else from the parts.
func (l *loader) databaseAddress(parts databaseParts) (databaseAddress, bool) {
	set := l.values[nameDBURI]
	if set.bad {
		return databaseAddress{}, false
	}
	if !set.set {
		return databaseAddress{
			host: parts.Host, port: parts.Port, name: parts.Name, user: parts.User, password: parts.Pass,
		}, !l.anyBad(nameDBHost, nameDBPort, nameDBName, nameDBUser, nameDBPass)
	}
	address, err := parseDatabaseURI(parts.URI)
	if err != nil {
		panic("config: a checked URI is refused: " + err.Error())
	}
	for _, open := range []struct {
		value *string
		name  string
	}{{&address.name, nameDBName}, {&address.user, nameDBUser}} {
		if *open.value == "" {
			*open.value = l.byName[open.name].Default
		}
	}
	l.warnOfIgnored(nameDBURI, nameDBHost, nameDBPort, nameDBName, nameDBUser, nameDBPass)
	for name, text := range map[string]string{
		nameDBHost: address.host, nameDBPort: strconv.Itoa(address.port), nameDBName: address.name,
		nameDBUser: address.user, nameDBPass: address.password,
	} {
		l.settleFrom(nameDBURI, name, text)
	}
	return address, true
}

// settleFrom shows a part as another variable has it.
func (l *loader) settleFrom(origin, name, text string) {
	if found := l.values[name]; !found.bad {
		found.text, found.origin = text, l.values[origin].origin.via(origin)
		l.values[name] = found
	}
}

// resolveStorage completes where the worker's own tables are.
func (l *loader) resolveStorage(target *decoded) {
	storage := &target.Config.Storage
	if target.Database.Type == DatabasePostgres || l.values[nameDBType].bad {
		l.warnOfUnusedFile()
		storage.Path = ""
		l.settle(nameStoragePath, "")
		return
	}
	if l.anyBad(nameStoragePath, nameDataDir, nameNamespace) {
		return
	}
	if storage.Path == "" {
		if storage.DataDir == "" {
			l.wantDataDir()
			return
		}
		storage.Path = filepath.Join(storage.DataDir, target.Config.Process.Namespace+".db")
		l.settleFrom(nameDataDir, nameStoragePath, storage.Path)
	}
	if platform := target.Config.database; platform != nil && platform.Path == storage.Path {
		problem := l.mistakeHere(nameStoragePath, "the same file as "+nameDBPath+", which belongs to the platform")
		problem.Expected = "a file of the worker's own"
		l.report(problem)
	}
}

// wantDataDir reports that there is no place for the worker's file, to who
// needs one.
func (l *loader) wantDataDir() {
	if l.storageless {
		return
	}
	problem := l.mistakeHere(nameDataDir, "no place for the worker's SQLite file: neither XDG_STATE_HOME nor HOME holds an absolute path")
	problem.Got = ""
	l.report(problem)
}

func (l *loader) warnOfUnusedFile() {
	if found := l.values[nameStoragePath]; found.set && !found.bad && !l.values[nameDBType].bad {
		l.warnings = append(l.warnings, Problem{
			Variable: nameStoragePath, Origin: found.origin,
			What: "ignored: with " + nameDBType + "=postgres the worker's tables are in Postgres",
		})
	}
}
