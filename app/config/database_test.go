package config_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// onPostgres loads a configuration with the platform's database in Postgres.
func onPostgres(t *testing.T, environ ...string) (*config.Config, config.Report) {
	t.Helper()
	return config.Load(source(t, append(environ, "DB_TYPE=postgres")...))
}

func TestAnAddressOfPostgresIsTakenApart(t *testing.T) {
	for text, want := range map[string]config.Database{
		"postgres://localhost":                                   {Host: "localhost"},
		"PostgreSQL://localhost/":                                {Host: "localhost"},
		"postgres://127.0.0.1:6432/shop":                         {Host: "127.0.0.1", Port: 6432, Name: "shop"},
		"postgres://[::1]:6432/shop":                             {Host: "::1", Port: 6432, Name: "shop"},
		"postgres://ann@localhost":                               {Host: "localhost", User: "ann"},
		"postgres://ann:geheim@localhost":                        {Host: "localhost", User: "ann", Password: domain.NewSecret("geheim")},
		"postgres://u%3As%40er:p%2F%23%3f%25@localhost":          {Host: "localhost", User: "u:s@er", Password: domain.NewSecret("p/#?%")},
		"postgres://localhost/my%20shop%22%3B":                   {Host: "localhost", Name: `my shop";`},
		"postgres://localhost/shop?sslmode=verify-ca":            {Host: "localhost", Name: "shop", SSLMode: "verify-ca"},
		"postgres://db.example?sslmode=verify-full":              {Host: "db.example", SSLMode: "verify-full"},
		"postgres://db.example/shop":                             {Host: "db.example", Name: "shop", SSLMode: "verify-full"},
		"postgres://ann@/shop?host=/run/postgresql":              {Host: "/run/postgresql", User: "ann", Name: "shop"},
		"postgres://:6432/shop?host=%2Frun%2Fpg&sslmode=disable": {Host: "/run/pg", Port: 6432, Name: "shop"},
	} {
		t.Run(text, func(t *testing.T) {
			loaded, report := onPostgres(t, "DB_URI="+text)
			if err := report.Err(); err != nil || len(report.Warnings) > 0 {
				t.Fatalf("Load() = %v with warnings %v, want neither", err, report.Warnings)
			}
			wantDatabase(t, loaded, want)
		})
	}
}

func wantDatabase(t *testing.T, loaded *config.Config, want config.Database) {
	t.Helper()
	want.Type = config.DatabasePostgres
	for value, fallback := range map[*string]string{&want.Name: "postgres", &want.User: "postgres", &want.SSLMode: "disable"} {
		if *value == "" {
			*value = fallback
		}
	}
	if want.Port == 0 {
		want.Port = 5432
	}
	if want.PoolSize == 0 {
		want.PoolSize = 10
	}
	got, _ := loaded.Database()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Database() (-want +got):\n%s", diff)
	}
	if loaded.Storage.Path != "" {
		t.Errorf("a SQLite file %s, want the worker's tables in Postgres", loaded.Storage.Path)
	}
}

// wrongURIs are refused with the words. "geheim" is a secret in them.
var wrongURIs = map[string]string{
	"localhost":                                            "begins with postgres://",
	"geheim":                                               "begins with postgres://",
	"postgres":                                             "begins with postgres://",
	"host=localhost password=geheim":                       "begins with postgres://",
	"mysql://u:geheim@localhost":                           "begins with postgres://",
	"postgres:/localhost":                                  "begins with postgres://",
	"postgres://u:ge heim@localhost":                       "a blank or control character",
	"postgres://localhost ":                                "a blank or control character",
	"postgres://u:ge#heim@localhost":                       "a # in an address",
	"postgres://u:geheim@geheim@localhost":                 "more than one @",
	"postgres://u:geh/eim@localhost":                       "an @ after the host",
	"postgres://u:geh?eim@localhost":                       "an @ after the host",
	"postgres://u:geheim%zz@localhost":                     "a % without two hexadecimal digits",
	"postgres://u:geheim%00@localhost":                     "a line break or NUL",
	"postgres://geheim%0D:x@localhost":                     "a line break or NUL",
	"postgres://@localhost":                                "an @ without a user",
	"postgres://:geheim@localhost":                         "an @ without a user",
	"postgres://":                                          "no host",
	"postgres:///shop":                                     "no host",
	"postgres://u:geheim@:5432/shop":                       "no host",
	"postgres://a,b/shop":                                  "no host",
	"postgres://a:1,b:2/shop":                              "no host",
	"postgres://localhost:0":                               "the port is not",
	"postgres://localhost:70000":                           "the port is not",
	"postgres://u:geheim@localhost:5432x":                  "the port is not",
	"postgres://user:geheim":                               "the port is not",
	"postgres://localhost/shop/geheim":                     "the database is no name",
	"postgres://localhost/a%00b":                           "the database is no name",
	"postgres://localhost/" + strings.Repeat("n", 64):      "the database is no name",
	"postgres://localhost/shop?geheim":                     "settings after a ?",
	"postgres://localhost/shop?service=geheim":             "settings after a ?",
	"postgres://localhost/shop?passfile=/geheim":           "settings after a ?",
	"postgres://localhost/shop?options=-cgeheim":           "settings after a ?",
	"postgres://localhost/shop?password=geheim":            "settings after a ?",
	"postgres://localhost?default_query_exec_mode=1":       "settings after a ?",
	"postgres://localhost?pool_max_conns=1":                "settings after a ?",
	"postgres://localhost?sslmode=disable&sslmode=disable": "settings after a ?",
	"postgres://localhost?sslmode=disable&":                "settings after a ?",
	"postgres://localhost?host=/run":                       "settings after a ?",
	"postgres://?host=run":                                 "settings after a ?",
	"postgres://?host=/a,/b":                               "settings after a ?",
	"postgres://localhost?sslmode=prefer":                  "an sslmode other than",
	"postgres://localhost?sslmode=allow":                   "an sslmode other than",
	"postgres://localhost?sslmode=":                        "an sslmode other than",
	"postgres://localhost?sslmode=Require":                 "an sslmode other than",
}

func TestAWrongAddressOfPostgresIsRefusedWithoutRepeatingIt(t *testing.T) {
	for text, want := range wrongURIs {
		t.Run(text[:min(len(text), 60)], func(t *testing.T) {
			loaded, report := onPostgres(t, "DB_URI="+text)
			if loaded != nil || len(report.Problems) != 1 {
				t.Fatalf("Load() = %v with problems %v, want one problem", loaded, report.Problems)
			}
			problem := report.Problems[0]
			if problem.Variable != "DB_URI" || problem.Got != "***" || !strings.Contains(problem.What, want) {
				t.Errorf("problem = %s, want DB_URI: %s", problem, want)
			}
			checkLines(t, report)
			if shown := shownFor(t, "DB_TYPE=postgres", "DB_URI="+text); strings.Contains(shown, "geheim") {
				t.Errorf("a secret is shown: %s", shown)
			}
		})
	}
}

func TestThePartsMakeTheDatabase(t *testing.T) {
	for environ, want := range map[string]config.Database{
		"":                          {Host: "localhost"},
		"PGHOST=nowhere PGUSER=bob": {Host: "localhost"},
		"DB_HOST=::1 DB_PORT=6432 DB_NAME=shop DB_USER=ann DB_PASS=ge@heim": {
			Host: "::1", Port: 6432, Name: "shop", User: "ann", Password: domain.NewSecret("ge@heim"),
		},
		"DB_HOST=/run/postgresql":                   {Host: "/run/postgresql"},
		"DB_HOST=db.example":                        {Host: "db.example", SSLMode: "verify-full"},
		"DB_SSL_MODE=true DB_POOL_SIZE=3":           {Host: "localhost", SSLMode: "require", PoolSize: 3},
		"DB_SSL_MODE=False":                         {Host: "localhost", SSLMode: "disable"},
		"DB_HOST=127.0.0.1 DB_SSL_MODE=verify-full": {Host: "127.0.0.1", SSLMode: "verify-full"},
		"DB_URI=postgres://db.localhost/shop DB_SSL_MODE=verify-ca": {
			Host: "db.localhost", Name: "shop", SSLMode: "verify-ca",
		},
	} {
		t.Run(environ, func(t *testing.T) {
			loaded, report := onPostgres(t, strings.Split(environ, " ")...)
			if err := report.Err(); err != nil || len(report.Warnings) > 0 {
				t.Fatalf("Load() = %v with warnings %v, want neither", err, report.Warnings)
			}
			wantDatabase(t, loaded, want)
		})
	}
}

func TestWeakTLSToAnotherHostIsWarnedOfOrRefused(t *testing.T) {
	for environ, words := range map[string]string{
		"DB_HOST=db.example DB_SSL_MODE=disable":            "DB_SSL_MODE: the connection to Postgres on another host has no TLS",
		"DB_HOST=db.example DB_SSL_MODE=false":              "DB_SSL_MODE: the connection to Postgres on another host has no TLS",
		"DB_HOST=10.0.0.1 DB_SSL_MODE=require":              "DB_SSL_MODE: the connection to Postgres on another host has TLS that does not check who answers",
		"DB_HOST=db.example DB_SSL_MODE=verify-ca":          "DB_SSL_MODE: the connection to Postgres on another host has TLS that does not check the host's name",
		"DB_URI=postgres://u:geheim@h/d?sslmode=disable":    "DB_URI: the connection to Postgres on another host has no TLS",
		"DB_HOST=db.example":                                "",
		"DB_HOST=db.example DB_SSL_MODE=verify-full":        "",
		"DB_HOST=localhost DB_SSL_MODE=disable":             "",
		"DB_HOST=/run/postgresql":                           "",
		"DB_URI=postgres://[::1]/d":                         "",
		"DB_URI=postgres://u:geheim@h/d":                    "",
		"DB_URI=postgres://u:geheim@h?sslmode=verify-full":  "",
		"DB_URI=postgres:///d?host=/run/pg&sslmode=require": "",
	} {
		t.Run(environ, func(t *testing.T) {
			all := strings.Split(environ, " ")
			loaded, report := onPostgres(t, all...)
			expect(t, "warnings", report.Warnings, words)
			if loaded == nil || strings.Contains(text(report), "geheim") {
				t.Errorf("problems %v, want none", report)
			}
			_, report = onPostgres(t, append(all, "DB_REQUIRE_TLS=true")...)
			expect(t, "TLS required: problems", report.Problems, words)
			expect(t, "TLS required: warnings", report.Warnings, "")
			checkLines(t, report)
		})
	}
}

func TestPostgresIsTakenFromOneOriginAsAWhole(t *testing.T) {
	for _, c := range []struct{ about, environment, base, host, password, warning string }{
		{about: "all in the file", base: "DB_HOST=::1\nDB_PASS=secret", host: "::1", password: "secret"},
		{about: "address above parts", environment: "DB_URI=postgres://localhost", base: "DB_HOST=base\nDB_PASS=secret", host: "localhost"},
		{about: "part above address", environment: "DB_HOST=127.0.0.1", base: "DB_URI=postgres://u:secret@base", host: "127.0.0.1"},
		{
			about: "a password alone", environment: "DB_PASS=secret", base: "DB_HOST=base", host: "localhost", password: "secret",
			warning: "DB_HOST: ignored: where Postgres is comes as a whole from the place that sets DB_PASS (environment), set in .env:1",
		},
		{about: "an empty one decides nothing", environment: "DB_PASS=", base: "DB_HOST=::1\nDB_PASS=secret", host: "::1"},
		{
			about: "address and parts in one place", base: "DB_URI=postgres://localhost\nDB_HOST=base\nDB_NAME=shop", host: "localhost",
			warning: "DB_URI: wins over DB_HOST and DB_NAME, which are ignored",
		},
	} {
		t.Run(c.about, func(t *testing.T) {
			from := source(t, "DB_TYPE=postgres", c.environment)
			write(t, from.Dir, ".env", c.base)
			loaded, report := config.Load(from)
			if err := report.Err(); err != nil {
				t.Fatal(err)
			}
			got, _ := loaded.Database()
			if got.Host != c.host || got.Password.Reveal() != c.password {
				t.Errorf("host %s, password %q; want %s, %q", got.Host, got.Password.Reveal(), c.host, c.password)
			}
			expect(t, "warnings", report.Warnings, c.warning)
		})
	}
}

func TestEntriesShowWhereTheDatabaseIs(t *testing.T) {
	shown := map[string]string{}
	loaded := mustLoad(t, source(t, "DB_TYPE=postgres", "DB_URI=postgres://kunde:geheim@[::1]:1/shop?sslmode=require"))
	for _, entry := range loaded.Entries() {
		shown[entry.Name] = entry.Value + " from " + entry.Origin.String()
	}
	for name, want := range map[string]string{
		"DB_URI":         "postgres://***@[::1]:1/shop?sslmode=require from environment",
		"DB_HOST":        "::1 from environment (DB_URI)",
		"DB_PORT":        "1 from environment (DB_URI)",
		"DB_NAME":        "shop from environment (DB_URI)",
		"DB_USER":        "kunde from environment (DB_URI)",
		"DB_PASS":        "*** from environment (DB_URI)",
		"DB_SSL_MODE":    "require from environment (DB_URI)",
		"WORKER_DB_PATH": " from default",
	} {
		if shown[name] != want {
			t.Errorf("%s = %s, want %s", name, shown[name], want)
		}
	}
	database, _ := loaded.Database()
	if text := fmt.Sprintf("%v %+v %#v %v", database, database, database, loaded); strings.Contains(text, "geheim") {
		t.Errorf("the password is shown: %s", text)
	}
}

func TestAuthoritiesOfPostgresStandInTextBase64OrAFile(t *testing.T) {
	pair := redistest.NewAuthority(t).Issue("db", redistest.Subject{})
	text, err := os.ReadFile(pair.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	from := source(t)
	write(t, from.Dir, "ca.pem", string(text))
	for what, value := range map[string]string{
		"text": string(text), "base64": base64.StdEncoding.EncodeToString(text), "path": pair.CertFile,
	} {
		loaded, report := onPostgres(t, "DB_HOST=db.example", "DB_CA_CERT="+value)
		if err := report.Err(); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if got, _ := loaded.Database(); strings.TrimSpace(got.CACert) != strings.TrimSpace(string(text)) {
			t.Errorf("%s: CACert = %q, want %q", what, got.CACert, text)
		}
	}
	key, err := os.ReadFile(pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	for what, value := range map[string]string{"a key": string(key), "rubbish": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "no file": "/nowhere"} {
		_, report := onPostgres(t, "DB_HOST=db.example", "DB_CA_CERT="+value)
		if len(report.Problems) != 1 || report.Problems[0].Variable != "DB_CA_CERT" || strings.Contains(textOf(report), "BEGIN") {
			t.Errorf("%s: problems %v, want one of DB_CA_CERT that does not repeat it", what, report.Problems)
		}
		checkLines(t, report)
	}
}

func TestTheWorkersFileFollowsTheDirectoryOfData(t *testing.T) {
	for _, c := range []struct{ environ, want, origin string }{
		{"XDG_STATE_HOME=/var/state", "/var/state/takt/default.db", "environment (WORKER_DATA_DIR)"},
		{"XDG_STATE_HOME=state", "/home/worker/.local/state/takt/default.db", "environment (WORKER_DATA_DIR)"},
		{"WORKER_DATA_DIR=/data/", "/data/default.db", "environment (WORKER_DATA_DIR)"},
		{"WORKER_DATA_DIR=/data WORKER_NAMESPACE=shop", "/data/shop.db", "environment (WORKER_DATA_DIR)"},
		{"WORKER_DATA_DIR=/data WORKER_DB_PATH=/srv/one.db", "/srv/one.db", "environment"},
		{"HOME= WORKER_DB_PATH=/srv/one.db", "/srv/one.db", "environment"},
		{"DB_TYPE=better-sqlite3", "/home/worker/.local/state/takt/default.db", "environment (WORKER_DATA_DIR)"},
	} {
		got := mustLoad(t, source(t, strings.Split(c.environ, " ")...))
		if got.Storage.Path != c.want || got.Origin("WORKER_DB_PATH").String() != c.origin {
			t.Errorf("%s: %q from %q, want %q from %q", c.environ, got.Storage.Path, got.Origin("WORKER_DB_PATH"), c.want, c.origin)
		}
	}
	_, report := onPostgres(t, "HOME=", "WORKER_DB_PATH=/srv/one.db")
	expect(t, "warnings", report.Warnings, "WORKER_DB_PATH: ignored: with DB_TYPE=postgres the worker's tables are in Postgres")
	expect(t, "problems", report.Problems, "")
}

func TestWhoOpensNoStorageNeedsNoPlaceForIt(t *testing.T) {
	got, report := config.Load(source(t, "HOME="), config.WithoutStorage())
	if report.Err() != nil || got.Storage.Path != "" {
		t.Errorf("Load() = %v with file %q, want no problem and none", report.Err(), got.Storage.Path)
	}
	if _, report := config.LoadPart(source(t, "HOME="), []string{"WORKER_NAMESPACE"}); report.Err() != nil || len(report.Warnings) > 0 {
		t.Errorf("LoadPart() = %v with %v, want neither problem nor warning", report.Err(), report.Warnings)
	}
	_, report = config.LoadPart(source(t, "HOME="), []string{"WORKER_DATA_DIR"})
	expect(t, "problems", report.Problems, "WORKER_DATA_DIR: no place")
}

func TestThePlatformsFileIsFoundFromTheWorkingDirectory(t *testing.T) {
	from := source(t, "DB_TYPE=sqlite3", "DB_PATH=data/../shop.db")
	got, ok := mustLoad(t, from).Database()
	if want := (config.Database{Type: config.DatabaseSQLite, Path: from.Dir + "/shop.db"}); !ok || !cmp.Equal(got, want) {
		t.Errorf("Database() = %+v, %v, want %+v", got, ok, want)
	}
	if got, ok := mustLoad(t, source(t, "DB_TYPE=better-sqlite3")).Database(); ok {
		t.Errorf("Database() without DB_PATH = %+v, want none", got)
	}
}

func TestALedgerIsInsistedOnOnlyByName(t *testing.T) {
	for environ, want := range map[string]config.Queue{
		"":                                       {Ledger: config.LedgerSQL, LedgerFollows: true},
		"WORKER_LEDGER=auto":                     {Ledger: config.LedgerSQL, LedgerFollows: true},
		"WORKER_LEDGER=sql":                      {Ledger: config.LedgerSQL},
		"WORKER_LEDGER=memory":                   {Ledger: config.LedgerMemory},
		"REDIS_ENABLED=true":                     {Ledger: config.LedgerRedis, LedgerFollows: true},
		"REDIS_ENABLED=true WORKER_LEDGER=sql":   {Ledger: config.LedgerSQL},
		"WORKER_QUEUE_BACKEND=none":              {Ledger: config.LedgerSQL, LedgerFollows: true},
		"DB_TYPE=postgres WORKER_QUEUE_BACKEND=": {Ledger: config.LedgerSQL, LedgerFollows: true},
	} {
		got := mustLoad(t, source(t, strings.Split(environ, " ")...)).Queue
		if got.Ledger != want.Ledger || got.LedgerFollows != want.LedgerFollows {
			t.Errorf("%s: ledger %q, follows %v; want %q, %v", environ, got.Ledger, got.LedgerFollows, want.Ledger, want.LedgerFollows)
		}
	}
}

func FuzzDSN(f *testing.F) {
	for text := range wrongURIs {
		f.Add(text, "geheim")
	}
	for _, text := range []string{
		"postgres://localhost", "postgres://u:p@h:1/d?sslmode=require", "postgres:///d?host=/run", "postgresql://[::1]:5432/", "postgres://u%3A:%40@h",
	} {
		f.Add(text, "p@ss#w/ord?%:")
	}
	f.Fuzz(func(t *testing.T, text, password string) {
		databaseStaysSecret(t, text)
		databaseSurvivesEncoding(t, password)
	})
}

// databaseStaysSecret wants of any text that it is refused without being
// repeated, or means what net/url would read as well.
func databaseStaysSecret(t *testing.T, text string) {
	t.Helper()
	loaded, report := config.Load(config.Source{Environ: []string{"DB_TYPE=postgres", "DB_URI=" + text}})
	if loaded == nil {
		for _, problem := range report.Problems {
			if problem.Got != "***" {
				t.Errorf("problem = %s, want the value masked", problem)
			}
		}
		return
	}
	got, _ := loaded.Database()
	oracle, err := url.Parse(text)
	if text == "" || err != nil {
		return // net/url does not know every byte that we take.
	}
	password, _ := oracle.User.Password()
	name := strings.TrimPrefix(oracle.Path, "/")
	if password != got.Password.Reveal() || (oracle.User != nil && oracle.User.Username() != got.User) ||
		(oracle.Hostname() != "" && oracle.Hostname() != got.Host) || (name != "" && name != got.Name) ||
		(oracle.Query().Get("sslmode") != "" && oracle.Query().Get("sslmode") != got.SSLMode) {
		t.Errorf("DB_URI=%q is %+v (password %q), but net/url reads %+v", text, got, got.Password.Reveal(), oracle)
	}
}

// databaseSurvivesEncoding wants that every password can be written down.
func databaseSurvivesEncoding(t *testing.T, password string) {
	t.Helper()
	if password == "" || strings.ContainsAny(password, "\r\n\x00") {
		return
	}
	text := "postgres://user:" + strings.ReplaceAll(url.QueryEscape(password), "+", "%20") + "@db.example"
	loaded, report := config.Load(config.Source{Environ: []string{"DB_TYPE=postgres", "DB_URI=" + text}})
	if err := report.Err(); err != nil {
		t.Fatalf("password %q as %s: %v", password, text, err)
	}
	if got, _ := loaded.Database(); got.Password.Reveal() != password {
		t.Errorf("password %q as %s is %q", password, text, got.Password.Reveal())
	}
}
