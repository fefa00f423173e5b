package doctor

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/ports"
)

// The databases that are looked at.
const (
	// CheckStorage is the worker's own database.
	CheckStorage = "storage"
	// CheckPlatform is the database that features use.
	CheckPlatform = "platform database"
)

// Database is what was found out about a database.
type Database struct {
	// Check is CheckStorage or CheckPlatform.
	Check  string
	Config storage.Config
	// Needed tells that no worker starts without it, Claims that it keeps its
	// claims there if it can.
	Needed, Claims bool
	// AutoMigrate tells that workers bring the schema in Postgres up to date.
	AutoMigrate bool
	// Variable says which setting names it.
	Variable string
	// UID is this user.
	UID int
	// Place is where the file is; nil for a server.
	Place *storage.Place
	// Err is why there is no survey. Survey is also nil for a file that is yet to
	// be made.
	Err    error
	Survey *storage.Survey
}

func (d *Database) own() bool { return d.Check == CheckStorage }

func (d *Database) isFile() bool { return d.Config.Dialect == storage.SQLite }

// Findings judges the database.
func (d *Database) Findings() []Finding {
	found := d.file()
	for i := range found {
		if found[i].Status == Error {
			return found
		}
	}
	switch {
	case d.Err != nil:
		return append(found, d.unreached())
	case d.Survey == nil:
		return found
	}
	found = append(found, d.server()...)
	if d.own() {
		found = append(found, d.schema()...)
	}
	if d.Survey.ClockAhead != nil {
		found = append(found, clock(d.Check+" clock", "Postgres", *d.Survey.ClockAhead, d.Survey.RoundTrip))
	}
	return found
}

func (d *Database) unreached() Finding {
	found := d.Config.String() + ": " + words(d.Err)
	switch {
	case d.isFile() && errors.Is(d.Err, ports.ErrUnavailable):
		return failure(d.Check, found, fmt.Sprintf("see which process holds %s, with lsof, and whether its disk is full", d.Config.SQLite.Path))
	case d.isFile():
		return mistake(d.Check, found, fmt.Sprintf("set %s to a SQLite database, or to a file that does not exist yet", d.Variable))
	case errors.Is(d.Err, storage.ErrRefused):
		return failure(d.Check, found, "correct user, password and database in "+d.Variable+", or make them with deploy/postgres-roles.sql")
	}
	return failure(d.Check, found, "start the server, or correct "+d.Variable+"; firewalls and TLS settings keep connections out, too")
}

func (d *Database) server() []Finding {
	s := d.Survey
	kind := "Postgres"
	if d.isFile() {
		kind = "SQLite"
	}
	found := []Finding{fine(d.Check, "%s answers in %s: %s %s", d.Config, rounded(s.RoundTrip), kind, s.Version)}
	if s.ReadOnly {
		found[0] = failure(d.Check, d.Config.String()+" takes no writes: it is a standby, or read-only by default",
			"set "+d.Variable+` to the primary, or "ALTER ROLE … SET default_transaction_read_only = off"`)
	}
	if s.Proxied {
		found = append(found, warning(d.Check, "something between lends connections of the server, such as PgBouncer",
			"have it pool by session, or set "+d.Variable+" to the server itself: migrations take locks of the session, and the outbox listens in it"))
	}
	const nearlyAll = 0.9
	if s.MaxConnections > 0 && float64(s.Connections) >= nearlyAll*float64(s.MaxConnections) {
		found = append(found, warning(d.Check, fmt.Sprintf("%d of %d connections are in use", s.Connections, s.MaxConnections),
			"raise max_connections of the server, or lower DB_POOL_SIZE of its clients"))
	}
	return found
}

// schema judges the worker's own tables.
func (d *Database) schema() []Finding {
	s, check := d.Survey, d.Check+" schema"
	pending := s.Pending()
	switch {
	case s.Hidden:
		return []Finding{failure(check, "there is a schema that this user may not look into",
			"run deploy/postgres-roles.sql as the owner of the database, and work as worker_run")}
	case len(pending) > 0 && (d.isFile() || d.AutoMigrate):
		return []Finding{fine(check, "%s to come; the next worker that starts applies them", plural(len(pending), "migration"))}
	case len(pending) > 0:
		return []Finding{d.behind(check, pending)}
	}
	found := []Finding{fine(check, "all %s applied", plural(len(s.Migrations), "migration"))}
	if n := len(s.Newer); n > 0 {
		found[0] = warning(check, fmt.Sprintf("newer than this program: migration %d is applied", s.Newer[n-1]),
			"deploy here the version that made it; until then this one goes on")
	}
	if len(s.Denied) > 0 {
		found = append(found, failure(d.Check+" rights", "the user may not read and write rows of "+few(s.Denied),
			"run deploy/postgres-roles.sql again, as the owner of the database"))
	}
	return found
}

// behind judges a schema of Postgres that is missing or old. A worker goes on
// without one as long as no other can have claims there.
func (d *Database) behind(check string, pending []storage.Migration) Finding {
	fix := `"worker migrate up" as the role that migrates, or DB_AUTO_MIGRATE=true`
	missing := len(pending) == len(d.Survey.Migrations)
	what := fmt.Sprintf("%s to come, the first is %s", plural(len(pending), "migration"), pending[0].Name)
	if missing {
		what = "nothing has been migrated"
	}
	switch {
	case d.Needed, d.Claims && !missing:
		return failure(check, what+": no worker starts", fix)
	case d.Claims:
		return warning(check, what+": claims and history of a worker are in its memory alone", fix)
	}
	return warning(check, what+": the history of a worker is in its memory alone", fix)
}

// leastFree is the disk space below which a file can soon grow no more.
const leastFree = 256 << 20

// file judges where a file is.
func (d *Database) file() []Finding {
	p := d.Place
	if p == nil {
		return nil
	}
	check, path := d.Check+" file", d.Config.SQLite.Path
	switch {
	case !p.Exists && !d.own():
		return []Finding{failure(check, "there is no file "+path, "set "+d.Variable+" to the file of the platform, or start the platform")}
	case !p.Writable && p.Exists:
		return []Finding{mistake(check, path+d.owner()+" may not be written by this user", d.elsewhere(path))}
	case !p.DirWritable:
		return []Finding{mistake(check, p.Dir+" may not be written by this user, and SQLite keeps its journal there", d.elsewhere(p.Dir))}
	}
	var found []Finding
	if p.Owner != d.UID {
		found = append(found, warning(check, path+d.owner(), fmt.Sprintf(`"chown %d %s", so that workers of one user alone write it`, d.UID, path)))
	}
	if p.Network != "" {
		found = append(found, warning(check, path+" is on "+p.Network+", whose locks SQLite cannot rely on: it may be damaged",
			"set "+d.Variable+" to a disk of this host; several hosts share claims through Postgres or Redis"))
	}
	if p.Free < leastFree {
		found = append(found, warning(check, fmt.Sprintf("%s are left on the disk of %s", size(p.Free), path), "free disk space, or set "+d.Variable+" to another disk"))
	}
	if !p.Exists {
		found = append(found, fine(check, "%s is not there yet; the first worker that starts makes it", path))
	}
	return found
}

func (d *Database) owner() string {
	if d.Place.Owner == d.UID {
		return ""
	}
	return " belongs to user " + strconv.Itoa(d.Place.Owner)
}

func (d *Database) elsewhere(path string) string {
	return fmt.Sprintf(`"chown -R %d %s", or set %s to a place that this user may write`, d.UID, path, d.Variable)
}
