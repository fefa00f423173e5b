package config

import "time"

// The names of the database's group that the code itself asks for.
const (
	nameDBType      = "DB_TYPE"
	nameDBURI       = "DB_URI"
	nameDBHost      = "DB_HOST"
	nameDBPort      = "DB_PORT"
	nameDBName      = "DB_NAME"
	nameDBUser      = "DB_USER"
	nameDBPass      = "DB_PASS"
	nameDBSSLMode   = "DB_SSL_MODE"
	nameDBCACert    = "DB_CA_CERT"
	nameDBTLS       = "DB_REQUIRE_TLS"
	nameDBPath      = "DB_PATH"
	nameStoragePath = "WORKER_DB_PATH"
	nameDataDir     = "WORKER_DATA_DIR"
)

func databaseVariables() []Variable {
	const group = "Storage"
	return append([]Variable{
		{
			Name: nameStoragePath, Group: group, Default: "<data>/<namespace>.db, where <data> is WORKER_DATA_DIR", derived: true,
			Example: "/var/lib/takt/shop.db", rule: ownFile(),
			Description: "The worker's own SQLite file, which it makes and migrates by itself. Not used with DB_TYPE=postgres: the worker's tables are in the schema worker there.",
		},
		{
			Name: nameDataDir, Group: group, Default: "$XDG_STATE_HOME/takt, else $HOME/.local/state/takt", derived: true,
			Example: "/var/lib/takt", rule: directory(),
			Description: "Directory of durable files, on a local file system.",
		},
		{
			Name: nameDBType, Group: group, Example: string(DatabaseSQLite), rule: databaseType(),
			Description: "The platform's database, opened for features; in Postgres the worker's own tables live, too. Unset is none.",
		},
		{ //nolint:gosec // the password is an example's
			Name: nameDBURI, Group: group, Secret: true, Example: "postgres://worker:s%40cret@db.example:5432/shop?sslmode=verify-full", rule: databaseURI(),
			Description: "Where Postgres is; wins over DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASS.",
		},
	}, append(postgresVariables(group), databaseLimits(group)...)...)
}

func postgresVariables(group string) []Variable {
	return []Variable{
		{
			Name: nameDBHost, Group: group, Default: "localhost", Example: "db.example", rule: databaseHost(),
			Description: "Host of Postgres, or the directory of its Unix socket.",
		},
		{
			Name: nameDBPort, Group: group, Default: "5432", Example: "6432", rule: count(1, 65535),
			Description: "Port of Postgres.",
		},
		{
			Name: nameDBName, Group: group, Default: "postgres", Example: "shop", rule: databaseName(),
			Description: "Database in Postgres.",
		},
		{
			Name: nameDBUser, Group: group, Default: "postgres", Example: "worker_run", rule: credential(),
			Description: "User of Postgres.",
		},
		{
			Name: nameDBPass, Group: group, Secret: true, Example: "s@cret", rule: credential(),
			Description: "Password of Postgres.",
		},
		{
			Name: nameDBSSLMode, Group: group, Default: "disable on this host, else verify-full", derived: true,
			Example: sslVerifyFull, rule: sslMode(),
			Description: "TLS to Postgres, as its own tools mean it; true is require and false is disable. Weaker than verify-full to another host is one warning.",
		},
		{
			Name: nameDBTLS, Group: group, Default: "false", Example: "true", rule: boolean(),
			Description: "Refuse to start with a DB_SSL_MODE weaker than verify-full to another host, instead of warning.",
		},
		{
			Name: nameDBCACert, Group: group, Secret: true, Example: "/run/secrets/db-ca.pem", rule: authorities(),
			Description: "Authorities that may vouch for Postgres, in place of the system's.",
		},
	}
}

func databaseLimits(group string) []Variable {
	return []Variable{
		{
			Name: "DB_POOL_SIZE", Group: group, Default: "10", Example: "4", rule: count(1, 1000),
			Description: "Connections to Postgres.",
		},
		{
			Name: nameDBPath, Group: group, Example: "/srv/platform/platform.sqlite3", rule: sqliteFile(),
			Description: "The platform's SQLite file, with DB_TYPE=sqlite. It is never migrated.",
		},
		{
			Name: "DB_AUTO_MIGRATE", Group: group, Default: "false", Example: "true", rule: boolean(),
			Description: "Bring the schema worker in Postgres up to date at start; otherwise worker migrate up does.",
		},
		{
			Name: "WORKER_HISTORY_MAX_AGE", Group: group, Default: "30d", Example: "7d", rule: duration(time.Hour, 3660*day),
			Description: "How long the worker's storage keeps what was decided about runs and jobs.",
		},
		{
			Name: "WORKER_HISTORY_MAX_RECORDS", Group: group, Default: "1000000", Example: "200000", rule: count(1000, 1_000_000_000),
			Description: "How many of these records it keeps; the oldest go first.",
		},
	}
}
