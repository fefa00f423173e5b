package config_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/taktwork/takt/app/config"
)

// source is a process with this environment in an empty directory.
func source(t *testing.T, environ ...string) config.Source {
	t.Helper()
	return config.Source{Environ: append(environ, "HOME=/home/worker"), Dir: t.TempDir(), PID: 4711, UID: 1000}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t *testing.T, from config.Source) *config.Config {
	t.Helper()
	loaded, report := config.Load(from)
	if err := report.Err(); err != nil {
		t.Fatalf("Load() = %v, want no problem", err)
	}
	return loaded
}

func TestAnEmptyEnvironmentGivesTheDefaults(t *testing.T) {
	want := &config.Config{
		Scheduler: config.Scheduler{
			Enabled: true, Timezone: "UTC", HeartbeatEnabled: true, HeartbeatCron: "*/30 * * * * *", LogRegisteredJobs: true,
		},
		Jobs: config.JobDefaults{Enabled: true, PreventOverlap: true, Retries: 1, RetryDelay: 5 * time.Second},
		Queue: config.Queue{
			Default: "worker-default", Backend: config.BackendMemory, Ledger: config.LedgerSQL, LedgerFollows: true,
			Prefix: "bull", Profile: config.ProfileV5, UnknownJobs: config.UnknownPark, Concurrency: 10,
			MaxPayload: 256 << 10, MemoryMaxJobs: 100_000, MemoryMaxBytes: 64 << 20,
		},
		Process: config.Process{
			Namespace: "default", StateDir: "/tmp/takt-1000", Instance: "4711",
			StartTimeout: time.Minute, ShutdownTimeout: 25 * time.Second,
		},
		Storage: config.Storage{Path: "/home/worker/.local/state/takt/default.db", DataDir: "/home/worker/.local/state/takt", HistoryMaxAge: 720 * time.Hour, HistoryMaxRecords: 1_000_000},
		Log:     config.Log{Level: slog.LevelInfo},
	}
	got, report := config.Load(source(t))
	if diff := cmp.Diff(config.Report{}, report, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(config.Config{})); diff != "" {
		t.Errorf("Load() (-want +got):\n%s", diff)
	}
}

func TestEveryVariableReachesItsField(t *testing.T) {
	got := mustLoad(t, source(t,
		"WORKER_SCHEDULER_ENABLED=Off", "WORKER_TIMEZONE=Europe/Berlin", "WORKER_HEARTBEAT_ENABLED= no ",
		"WORKER_HEARTBEAT_CRON=0 * * * *", "WORKER_LOG_REGISTERED_JOBS=0",
		"WORKER_JOB_ENABLED=FALSE", "WORKER_JOB_PREVENT_OVERLAP=no", "WORKER_JOB_RETRIES=7", "WORKER_JOB_RETRY_DELAY=1d",
		"WORKER_JOB_TIMEOUT=1d12h", "WORKER_JOB_MAX_RANDOM_DELAY=1.5s",
		"WORKER_QUEUE_BACKEND=None", "WORKER_LEDGER=memory", "WORKER_DEFAULT_QUEUE=main", "WORKER_QUEUES=mail, reports",
		"WORKER_STRICT_QUEUES=on", "WORKER_UNKNOWN_JOBS=fail", "WORKER_CONCURRENCY=10000", "WORKER_MAX_PAYLOAD=5MiB",
		"WORKER_MEMORY_MAX_JOBS=5", "WORKER_MEMORY_MAX_BYTES=1GiB",
		"WORKER_QUEUE_PREFIX={shop}", "WORKER_BULLMQ_PROFILE=V6",
		"WORKER_NAMESPACE=shop-1", "WORKER_STATE_DIR=/run/takt/", "WORKER_INSTANCE=blue", "WORKER_DEPLOY_ID=v1.2",
		"WORKER_START_TIMEOUT=2m", "WORKER_SHUTDOWN_TIMEOUT=10m", "LOG_LEVEL=DEBUG",
		"WORKER_DB_PATH=/srv/takt/./shop.db", "WORKER_DATA_DIR=/srv/takt/", "DB_AUTO_MIGRATE=true", "WORKER_HISTORY_MAX_AGE=2d", "WORKER_HISTORY_MAX_RECORDS=5000",
	))
	want := &config.Config{
		Scheduler: config.Scheduler{Timezone: "Europe/Berlin", HeartbeatCron: "0 * * * *"},
		Jobs: config.JobDefaults{
			Retries: 7, RetryDelay: 24 * time.Hour, Timeout: 36 * time.Hour, MaxRandomDelay: 1500 * time.Millisecond,
		},
		Queue: config.Queue{
			Default: "main", Extra: []string{"mail", "reports"}, Backend: config.BackendNone, Ledger: config.LedgerMemory,
			Prefix: "{shop}", Profile: config.ProfileV6, Strict: true, UnknownJobs: config.UnknownFail, Concurrency: 10_000,
			MaxPayload: 5 << 20, MemoryMaxJobs: 5, MemoryMaxBytes: 1 << 30,
		},
		Process: config.Process{
			Namespace: "shop-1", StateDir: "/run/takt", Instance: "blue", DeployID: "v1.2",
			StartTimeout: 2 * time.Minute, ShutdownTimeout: 10 * time.Minute,
		},
		Storage: config.Storage{Path: "/srv/takt/shop.db", DataDir: "/srv/takt", AutoMigrate: true, HistoryMaxAge: 48 * time.Hour, HistoryMaxRecords: 5000},
		Log:     config.Log{Level: slog.LevelDebug},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(config.Config{})); diff != "" {
		t.Errorf("Load() (-want +got):\n%s", diff)
	}
	if got.Queue.Enabled() {
		t.Errorf("Queue.Enabled() = true with the backend none, want false")
	}
}

// taggedNames are the variables that go-envconfig decodes.
func taggedNames(of reflect.Type) []string {
	var names []string
	for field := range of.Fields() {
		if tag := field.Tag.Get("env"); tag != "" {
			names = append(names, tag)
		} else if field.Type.Kind() == reflect.Struct {
			names = append(names, taggedNames(field.Type)...)
		}
	}
	return names
}

func TestTheTableHasEveryFieldOnce(t *testing.T) {
	seen := map[string]int{"WORKER_QUEUE_ENABLED": 1, "REDIS_ENABLED": 1, "WORKER_DOTENV_OVERRIDE": 1} // decide others
	for _, part := range []string{
		"URL", "HOST", "PORT", "USER", "PASSWORD", "TLS", "REQUIRE_TLS", "CA_CERT", "CERT", "KEY", "SERVER_NAME", "DB",
		"CLUSTER_NODES", "SENTINELS", "SENTINEL_NAME", "SENTINEL_USER", "SENTINEL_PASSWORD", "SENTINEL_TLS", "SENTINEL_CA_CERT",
	} {
		seen["REDIS_"+part]++ // make the connection
	}
	for _, part := range []string{
		"TYPE", "URI", "HOST", "PORT", "NAME", "USER", "PASS", "SSL_MODE", "REQUIRE_TLS", "CA_CERT", "POOL_SIZE", "PATH",
	} {
		seen["DB_"+part]++ // make the database
	}
	for _, name := range taggedNames(reflect.TypeFor[config.Config]()) {
		seen[name]++
	}
	for _, variable := range config.Variables() {
		if seen[variable.Name] != 1 {
			t.Errorf("%s is read by %d fields, want 1", variable.Name, seen[variable.Name])
		}
		delete(seen, variable.Name)
	}
	if len(seen) != 0 {
		t.Errorf("fields without a row in the table: %v", seen)
	}
}

func TestEveryExampleIsAccepted(t *testing.T) {
	for _, variable := range config.Variables() {
		environ := []string{variable.Name + "=" + variable.Example}
		if strings.HasPrefix(variable.Name, "DB_") && variable.Name != "DB_TYPE" {
			environ = append(environ, "DB_TYPE=sqlite")
		}
		if _, report := config.Load(source(t, environ...)); report.Err() != nil {
			t.Errorf("example of %s: %v", variable.Name, report.Err())
		}
		if variable.Description == "" || variable.Expected == "" || variable.Group == "" {
			t.Errorf("%s lacks a description, rule or group", variable.Name)
		}
	}
}

func TestEveryWordOfABooleanIsAccepted(t *testing.T) {
	for word, want := range map[string]bool{
		"true": true, "TRUE": true, "1": true, "yes": true, "on": true, " On\t": true,
		"false": false, "False": false, "0": false, "no": false, "OFF": false,
	} {
		got := mustLoad(t, source(t, "WORKER_SCHEDULER_ENABLED="+word)).Scheduler.Enabled
		if got != want {
			t.Errorf("WORKER_SCHEDULER_ENABLED=%q = %v, want %v", word, got, want)
		}
	}
}

func TestTheHighestOriginWins(t *testing.T) {
	const name = "WORKER_NAMESPACE"
	for _, c := range []struct {
		about, environment, local, base string
		want, origin                    string
	}{
		{about: "nobody", want: "default", origin: "default"},
		{about: "base file", base: "\n" + name + "=base", want: "base", origin: ".env:2"},
		{about: "local file", local: name + "=local", base: name + "=base", want: "local", origin: ".env.local:1"},
		{
			about: "environment", environment: name + "=real", local: name + "=local", base: name + "=base",
			want: "real", origin: "environment",
		},
		{
			about: "empty environment masks", environment: name + "=", local: name + "=local",
			want: "default", origin: "default (empty in environment)",
		},
		{about: "empty local masks", local: name + "=", base: name + "=base", want: "default", origin: "default (empty in .env.local:1)"},
	} {
		t.Run(c.about, func(t *testing.T) {
			from := source(t, c.environment)
			write(t, from.Dir, ".env.local", c.local)
			write(t, from.Dir, ".env", c.base)
			got := mustLoad(t, from)
			if got.Process.Namespace != c.want || got.Origin(name).String() != c.origin {
				t.Errorf("%s = %q from %q, want %q from %q", name, got.Process.Namespace, got.Origin(name), c.want, c.origin)
			}
		})
	}
}

func TestOverrideLetsTheLocalFileBeatTheEnvironment(t *testing.T) {
	from := source(t, "WORKER_DOTENV_OVERRIDE=yes", "WORKER_NAMESPACE=real", "WORKER_INSTANCE=real")
	write(t, from.Dir, ".env.local", "WORKER_NAMESPACE=local")
	write(t, from.Dir, ".env", "WORKER_INSTANCE=base")
	got := mustLoad(t, from).Process
	if got.Namespace != "local" || got.Instance != "real" {
		t.Errorf("namespace %q, instance %q, want local and real", got.Namespace, got.Instance)
	}
}

func TestOverrideInAFileIsIgnoredWithAWarning(t *testing.T) {
	from := source(t, "WORKER_NAMESPACE=real")
	write(t, from.Dir, ".env.local", "WORKER_DOTENV_OVERRIDE=true\nWORKER_NAMESPACE=local")
	got, report := config.Load(from)
	if got.Process.Namespace != "real" {
		t.Errorf("namespace = %q, want real", got.Process.Namespace)
	}
	want := "config: WORKER_DOTENV_OVERRIDE: ignored: only the process environment can set it, set in .env.local:1"
	if len(report.Warnings) != 1 || report.Warnings[0].String() != want {
		t.Errorf("warnings = %v, want %q", report.Warnings, want)
	}
}

func TestTheFirstOfEqualNamesInTheEnvironmentCounts(t *testing.T) {
	got := mustLoad(t, source(t, "WORKER_NAMESPACE=one", "WORKER_NAMESPACE=two", "=C:=C:\\", "junk"))
	if got.Process.Namespace != "one" {
		t.Errorf("namespace = %q, want one", got.Process.Namespace)
	}
}

func TestTheTimezoneFallsBackToTheHostsName(t *testing.T) {
	for _, c := range []struct{ environ, want, origin string }{
		{"TZ=Asia/Kathmandu", "Asia/Kathmandu", "environment (TZ)"},
		{"TZ=:/etc/localtime", "UTC", "default (TZ is not an IANA name)"},
		{"TZ=:Europe/Berlin", "Europe/Berlin", "environment (TZ)"},
		{"TZ=CET-1CEST", "UTC", "default (TZ is not an IANA name)"},
		{"TZ=", "UTC", "default"},
		{"WORKER_TIMEZONE=", "UTC", "default (empty in environment)"},
	} {
		got := mustLoad(t, source(t, c.environ))
		if got.Scheduler.Timezone != c.want || got.Origin("WORKER_TIMEZONE").String() != c.origin {
			t.Errorf("%s: zone %q from %q, want %q from %q",
				c.environ, got.Scheduler.Timezone, got.Origin("WORKER_TIMEZONE"), c.want, c.origin)
		}
	}
}

func TestTheStateDirectoryFollowsTheRuntimeDirectory(t *testing.T) {
	for _, c := range []struct{ environ, want, origin string }{
		{"XDG_RUNTIME_DIR=/run/user/1000", "/run/user/1000/takt", "environment (XDG_RUNTIME_DIR)"},
		{"XDG_RUNTIME_DIR=relative", "/tmp/takt-1000", "default (XDG_RUNTIME_DIR is not an absolute path)"},
		{"XDG_RUNTIME_DIR=", "/tmp/takt-1000", "default"},
	} {
		got := mustLoad(t, source(t, c.environ))
		if got.Process.StateDir != c.want || got.Origin("WORKER_STATE_DIR").String() != c.origin {
			t.Errorf("%s: %q from %q, want %q from %q",
				c.environ, got.Process.StateDir, got.Origin("WORKER_STATE_DIR"), c.want, c.origin)
		}
	}
}

func TestTheReferencesMinimalFileRunsOnRedis(t *testing.T) {
	minimal, err := os.ReadFile("testdata/reference.env")
	if err != nil {
		t.Fatal(err)
	}
	from := source(t)
	write(t, from.Dir, ".env", string(minimal))
	got, report := config.Load(from)
	if err := report.Strict().Err(); err != nil {
		t.Fatalf("Load() = %v, want no problem", err)
	}
	if got.Queue.Backend != config.BackendRedis || got.Origin("WORKER_QUEUE_BACKEND").String() != ".env:10 (REDIS_ENABLED)" {
		t.Errorf("backend = %q from %q, want redis from .env:10 (REDIS_ENABLED)",
			got.Queue.Backend, got.Origin("WORKER_QUEUE_BACKEND"))
	}
	want := config.Redis{Network: "tcp", Addr: "127.0.0.1:6379"}
	if redis, ok := got.Redis(); !ok || !cmp.Equal(redis, want) {
		t.Errorf("Redis() = %v, %v, want %v", redis, ok, want)
	}
	if len(report.Warnings) != 0 {
		t.Errorf("warnings = %v, want none", report.Warnings)
	}
}

func TestTheCronCheckSeesExpressionAndZone(t *testing.T) {
	var expression, zone string
	check := func(e, z string) error {
		expression, zone = e, z
		return errors.New("field 1: \x1b[31m60 is not a second")
	}
	_, report := config.Load(source(t, "WORKER_HEARTBEAT_CRON=60 * * * * *", "WORKER_TIMEZONE=Asia/Tokyo"), config.WithCronCheck(check))
	if expression != "60 * * * * *" || zone != "Asia/Tokyo" {
		t.Errorf("check(%q, %q), want the expression and Asia/Tokyo", expression, zone)
	}
	want := `config: WORKER_HEARTBEAT_CRON: field 1: ?[31m60 is not a second, set in environment (got "60 * * * * *"); ` +
		`expected a cron expression of 5 or 6 fields; example 0 * * * * *`
	if got := report.Err().Error(); got != want {
		t.Errorf("problem = %s\nwant      %s", got, want)
	}
}

func TestALongCronErrorIsCut(t *testing.T) {
	check := func(string, string) error { return errors.New(strings.Repeat("x", 1000)) }
	_, report := config.Load(source(t), config.WithCronCheck(check))
	if got := len(report.Err().Error()); got > 400 {
		t.Errorf("problem has %d bytes, want at most 400", got)
	}
}

func TestStrictTurnsUnknownNamesAloneIntoProblems(t *testing.T) {
	_, report := config.Load(source(t, "WORKER_TIMZONE=UTC", "TZ=Mars/Base"))
	strict := report.Strict()
	if len(report.Problems) != 0 || len(report.Warnings) != 2 {
		t.Fatalf("%d problems and %d warnings, want 0 and 2", len(report.Problems), len(report.Warnings))
	}
	if len(strict.Problems) != 1 || len(strict.Warnings) != 1 {
		t.Fatalf("strict: %d problems and %d warnings, want 1 and 1", len(strict.Problems), len(strict.Warnings))
	}
	want := "config: WORKER_TIMZONE: unknown variable, the nearest is WORKER_TIMEZONE, set in environment (got ***); " +
		"expected a variable of this version; example WORKER_TIMEZONE"
	if got := strict.Problems[0].String(); got != want {
		t.Errorf("problem = %s\nwant      %s", got, want)
	}
}

func TestAnInvalidConfigurationIsATypedError(t *testing.T) {
	loaded, report := config.Load(source(t, "WORKER_CONCURRENCY=0", "LOG_LEVEL=loud"))
	if loaded != nil {
		t.Errorf("Load() = %v, want nil", loaded)
	}
	invalid, ok := errors.AsType[*config.InvalidError](report.Err())
	if !ok || len(invalid.Problems) != 2 {
		t.Fatalf("Err() = %v, want an *InvalidError with 2 problems", report.Err())
	}
}

func TestTheProcessSourceIsThisProcess(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("WORKER_NAMESPACE", "mine")
	from, err := config.ProcessSource()
	if err != nil {
		t.Fatal(err)
	}
	if from.Dir != dir || from.PID != os.Getpid() || from.UID != os.Getuid() {
		t.Errorf("ProcessSource() = %q, %d, %d, want this process in %q", from.Dir, from.PID, from.UID, dir)
	}
	if got := mustLoad(t, from).Process.Namespace; got != "mine" {
		t.Errorf("namespace = %q, want mine", got)
	}
}

func TestTheNearestNameIsSuggested(t *testing.T) {
	names := []string{"WORKER_QUEUES", "WORKER_TIMEZONE"}
	for name, want := range map[string]string{
		"WORKER_TIMZONE": "WORKER_TIMEZONE", "WORKER_QUEUE": "WORKER_QUEUES", "SOMETHING_ELSE": "", "": "",
		strings.Repeat("W", 1000): "",
	} {
		if got := config.Nearest(name, names); got != want {
			t.Errorf("Nearest(%.20q) = %q, want %q", name, got, want)
		}
	}
}
