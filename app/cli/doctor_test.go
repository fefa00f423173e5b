package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/doctor"
	"github.com/taktwork/takt/test/pgtest"
	"github.com/taktwork/takt/test/redistest"
)

// patient is an examination with the settings, and what it came to.
type patient struct {
	output

	findings []doctor.Finding
}

// examine runs doctor --json, for as long as a busy machine needs. What the
// settings leave open is in directories of the test's own.
func examine(t *testing.T, settings ...string) patient {
	t.Helper()
	return examineFor(t, time.Minute, settings...)
}

func examineFor(t *testing.T, timeout time.Duration, settings ...string) patient {
	t.Helper()
	i := args("doctor", "--json", "--timeout", timeout.String())
	i.Environ = append(slices.Clone(settings), "WORKER_STATE_DIR="+filepath.Join(t.TempDir(), "state"), "WORKER_DATA_DIR="+t.TempDir())
	p := patient{output: run(t, i)}
	if err := json.Unmarshal([]byte(p.stdout), &p.findings); err != nil {
		t.Fatalf("worker doctor --json prints %q and %q: %v", p.stdout, p.stderr, err)
	}
	if strings.Contains(p.stdout+p.stderr, "c4n4ry") {
		t.Errorf("a secret is shown:\n%s%s", p.stdout, p.stderr)
	}
	return p
}

// want checks the exit code, and that a finding of the check has the status and
// the texts, in what was found or in what to do.
func (p *patient) want(t *testing.T, code int, check string, status doctor.Status, texts ...string) {
	t.Helper()
	if p.code != code {
		t.Errorf("exit code %d, want %d; it printed\n%s%s", p.code, code, p.stdout, p.stderr)
	}
	for _, f := range p.findings {
		if f.Check != check || f.Status != status {
			continue
		}
		if (f.Fix != "") != (status == doctor.Error || status == doctor.Warning) {
			t.Errorf("%s is %s with the fix %q, want one for what is wrong alone", check, status, f.Fix)
		}
		for _, text := range texts {
			if !strings.Contains(f.Found+"\n"+f.Fix, text) {
				t.Errorf("%s: %q, mended by %q, want %q in it", check, f.Found, f.Fix, text)
			}
		}
		return
	}
	t.Errorf("no finding of %s is %s in\n%s", check, status, p.stdout)
}

// changing is what no two runs print alike.
var changing = regexp.MustCompile(`in [0-9.]+(?:µs|ms|s)\b|is [0-9.]+(?:ns|µs|ms|s) (?:ahead of|behind)|Redis [0-9.]+|SQLite [0-9.]+|data [^;]*;|[0-9.]+ [KM]iB used|127\.0\.0\.1:[0-9]+`)

func TestDoctorPrintsALineForEachCheck(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes")
	i := args("doctor", "--timeout", "1m")
	i.Dir = t.TempDir()
	i.Environ = []string{"WORKER_STATE_DIR=/nonexistent/takt", "WORKER_DB_PATH=" + i.Dir + "/new.db", "REDIS_ENABLED=true", "REDIS_URL=" + server.URL(0), "WORKER_TIMZONE=x"}
	seen := func(text string) string {
		return changing.ReplaceAllString(strings.ReplaceAll(text, i.Dir, "/data"), "#")
	}
	got := run(t, i)
	if got.code != cli.ExitOK || got.stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 with a warning alone", got.code, got.stderr)
	}
	golden(t, "doctor.golden", seen(got.stdout))
	i.Args = append(i.Args, "--json")
	golden(t, "doctor_json.golden", seen(run(t, i).stdout))
}

func TestDoctorNeedsTimeToLook(t *testing.T) {
	t.Parallel()
	for _, timeout := range []string{"0", "999ms"} {
		if got := run(t, args("doctor", "--timeout", timeout)); got.code != cli.ExitUsage || !strings.Contains(got.stderr, "--timeout is "+timeout+", want 1s or more") {
			t.Errorf("exit code %d, stderr %q, want 64 and what would be right", got.code, got.stderr)
		}
	}
}

func TestDoctorColoursForTerminals(t *testing.T) {
	t.Parallel()
	for terminal, want := range map[bool]bool{true: true, false: false} {
		i := args("doctor")
		i.Terminal = terminal
		if got := run(t, i); strings.Contains(got.stdout, "\x1b[32mok ") != want {
			t.Errorf("terminal %t: stdout %q, want colour: %t", terminal, got.stdout, want)
		}
	}
}

func TestDoctorTellsWhatIsWrongWithTheConfiguration(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := examine(t, "WORKER_CONCURRENCY=0", "WORKER_NAMSPACE=x", "REDIS_ENABLED=true", "REDIS_URL="+server.URL(0))
	p.want(t, cli.ExitConfig, "configuration", doctor.Error, "WORKER_CONCURRENCY: ", `(got "0")`, "expected is a whole number from 1")
	p.want(t, cli.ExitConfig, "configuration", doctor.Warning, "WORKER_NAMSPACE: ", "WORKER_NAMESPACE")
	p.want(t, cli.ExitConfig, "redis", doctor.OK, "takes writes")
	p.want(t, cli.ExitConfig, "schedules", doctor.Skipped, "see configuration")
	bad := examine(t, "REDIS_ENABLED=true", "REDIS_URL=redis://:c4n4ry@[", "DB_TYPE=postgres", "DB_URI=postgres://u:c4n4ry@[")
	bad.want(t, cli.ExitConfig, "redis", doctor.Skipped, "see configuration")
	bad.want(t, cli.ExitConfig, "storage", doctor.Skipped, "see configuration")
}

// What is away in one place hides nothing of another, and what is fundamental
// gives the exit code.
func TestDoctorLooksAtEverythingAtOnce(t *testing.T) {
	t.Parallel()
	gone := redistest.Start(t)
	gone.Kill()
	p := examine(t, "REDIS_ENABLED=true", "REDIS_URL="+gone.URL(0), "DB_TYPE=postgres", "DB_URI=postgres://u:c4n4ry@/d?host=/nonexistent")
	p.want(t, cli.ExitUnavailable, "redis", doctor.Error, gone.Addr, "correct REDIS_URL")
	p.want(t, cli.ExitUnavailable, "storage", doctor.Error, "postgres:///d?host=/nonexistent", "correct DB_URI")
	p.want(t, cli.ExitUnavailable, "schedules", doctor.OK, "6 jobs")
}

// A server that accepts and never answers is given up. The test fails by its
// own time limit, which is far longer, if it is not.
func TestDoctorWaitsForNobody(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() //nolint:errcheck // the test is over
	address := silent.Addr().String()
	p := examineFor(t, 10*time.Second, "REDIS_ENABLED=true", "REDIS_URL=redis://:c4n4ry@"+address, "DB_TYPE=postgres", "DB_URI=postgres://u:c4n4ry@"+address+"/d")
	p.want(t, cli.ExitUnavailable, "redis", doctor.Error, address)
	p.want(t, cli.ExitUnavailable, "storage", doctor.Error, address)
	p.want(t, cli.ExitUnavailable, "time zones", doctor.OK)
}

func TestDoctorLooksAtRedis(t *testing.T) {
	t.Parallel()
	lossy := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	p := examine(t, "REDIS_ENABLED=true", "REDIS_URL="+lossy.URL(0))
	p.want(t, cli.ExitOK, "redis memory", doctor.Warning, "allkeys-lru", "CONFIG SET maxmemory-policy noeviction")
	p.want(t, cli.ExitOK, "redis persistence", doctor.Warning, "nothing is kept", "CONFIG SET appendonly yes")
	p.want(t, cli.ExitOK, "redis clock", doctor.OK, "the clock of Redis is")
	p.want(t, cli.ExitOK, "redis rights", doctor.OK, "default")

	guarded := redistest.Start(t, "--requirepass", "other")
	p = examine(t, "REDIS_ENABLED=true", "REDIS_URL=redis://:c4n4ry@"+guarded.Addr)
	p.want(t, cli.ExitUnavailable, "redis", doctor.Error, "WRONGPASS", "user and password in REDIS_URL")

	host, port, err := net.SplitHostPort(lossy.Addr)
	if err != nil {
		t.Fatal(err)
	}
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	replica.AwaitReplica()
	p = examine(t, "REDIS_ENABLED=true", "REDIS_URL="+replica.URL(0))
	p.want(t, cli.ExitUnavailable, "redis", doctor.Error, "is a replica", "set REDIS_URL to the primary")
}

func TestDoctorLooksAtRightsInRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--user", "weak", "on", ">c4n4ry", "~bull:*", "~takt:{bull}:*", "resetchannels", "+@all", "-config", "-xtrim")
	p := examine(t, "REDIS_ENABLED=true", "REDIS_URL=redis://weak:c4n4ry@"+server.Addr)
	p.want(t, cli.ExitUnavailable, "redis persistence", doctor.Skipped, "CONFIG GET")
	p.want(t, cli.ExitUnavailable, "redis rights", doctor.Error, "lacks command xtrim", `ACL SETUSER weak +xtrim`)
}

func TestDoctorLooksAtQueues(t *testing.T) {
	t.Parallel()
	r := newAtRedis(t)
	r.want(cli.ExitOK, "enqueue reports nightly")
	r.want(cli.ExitOK, "queues pause reports")
	if err := r.server.Client().Set(t.Context(), "bull:default:wait", "hostile", 0).Err(); err != nil {
		t.Fatal(err)
	}
	r.server.Client().ZAdd(t.Context(), "bull:reports:delayed")
	p := examine(t, "REDIS_ENABLED=true", "REDIS_URL="+r.server.URL(0), "WORKER_DEFAULT_QUEUE=default")
	p.want(t, cli.ExitUnavailable, "queue reports", doctor.Warning, "is paused: 1 job waits", "worker queues resume reports")
	p.want(t, cli.ExitUnavailable, "queue default", doctor.Error, "bull:default:wait", "redis-cli TYPE")
}

func TestDoctorLooksAtPostgres(t *testing.T) {
	t.Parallel()
	uri := pgtest.Database(t)
	settings := func(role string, more ...string) []string {
		return append([]string{"DB_TYPE=postgres", "DB_URI=" + pgtest.As(t, uri, role).Reveal()}, more...)
	}
	empty := examine(t, settings("postgres")...)
	empty.want(t, cli.ExitOK, "storage", doctor.OK, "Postgres")
	empty.want(t, cli.ExitOK, "storage schema", doctor.Warning, "nothing has been migrated", "worker migrate up")
	empty.want(t, cli.ExitOK, "storage clock", doctor.OK, "the clock of Postgres is")
	needed := examine(t, settings("postgres", "WORKER_LEDGER=sql")...)
	needed.want(t, cli.ExitUnavailable, "storage schema", doctor.Error, "no worker starts")
	later := examine(t, settings("postgres", "WORKER_LEDGER=sql", "DB_AUTO_MIGRATE=true")...)
	later.want(t, cli.ExitOK, "storage schema", doctor.OK, "to come")

	refused := examine(t, settings("nobody_knows")...)
	refused.want(t, cli.ExitUnavailable, "storage", doctor.Error, "nobody_knows", "user, password and database in DB_URI")

	pgtest.Roles(t, uri)
	up := args("migrate", "up")
	up.Environ = settings("worker_migrate")
	if got := run(t, up); got.code != cli.ExitOK {
		t.Fatalf("migrate up: %+v", got)
	}
	well := examine(t, settings("worker_run")...)
	well.want(t, cli.ExitOK, "storage schema", doctor.OK, "applied")
	pgtest.Exec(t, uri, "INSERT INTO worker.migrations (version_id, is_applied) VALUES (9998, true); REVOKE UPDATE ON worker.ledgers FROM worker_run")
	sick := examine(t, settings("worker_run")...)
	sick.want(t, cli.ExitUnavailable, "storage schema", doctor.Warning, "newer", "9998")
	sick.want(t, cli.ExitUnavailable, "storage rights", doctor.Error, "ledgers", "postgres-roles.sql")
	pgtest.Exec(t, uri, "DELETE FROM worker.migrations WHERE version_id = 2")
	behind := examine(t, settings("worker_run")...)
	behind.want(t, cli.ExitUnavailable, "storage schema", doctor.Error, "1 migration to come, the first is 0002")
}

func TestDoctorLooksAtFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rubbish := filepath.Join(dir, "rubbish.db")
	if err := os.WriteFile(rubbish, []byte(strings.Repeat("rubbish ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := examine(t, "WORKER_DB_PATH="+rubbish)
	p.want(t, cli.ExitConfig, "storage", doctor.Error, "not a database", "set WORKER_DB_PATH")
	p = examine(t, "WORKER_DB_PATH="+filepath.Join(rubbish, "below.db"))
	p.want(t, cli.ExitConfig, "storage", doctor.Error, "not a directory")
	p = examine(t, "WORKER_DB_PATH="+filepath.Join(dir, "new.db"), "DB_TYPE=sqlite", "DB_PATH="+filepath.Join(dir, "platform.db"))
	p.want(t, cli.ExitUnavailable, "storage file", doctor.OK, "not there yet")
	p.want(t, cli.ExitUnavailable, "platform database file", doctor.Error, "there is no file", "set DB_PATH")
	if _, err := os.Stat(filepath.Join(dir, "new.db")); err == nil {
		t.Error("doctor made the file")
	}
	empty := filepath.Join(dir, "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p = examine(t, "WORKER_DB_PATH="+empty)
	p.want(t, cli.ExitOK, "storage schema", doctor.OK, "to come; the next worker that starts applies them")
	if info, err := os.Stat(empty); err != nil || info.Size() > 0 {
		t.Errorf("doctor changed the file: %v, %v", info, err)
	}
}

func TestDoctorAsksTheWorkersOfThisHost(t *testing.T) {
	t.Parallel()
	env := served(t, answers(), "blue")
	dir := strings.TrimPrefix(env[0], "WORKER_STATE_DIR=")
	if err := os.WriteFile(filepath.Join(dir, "default", "dead.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := examine(t, env[0])
	p.want(t, cli.ExitOK, "worker blue", doctor.OK, "ok: running")
	p.want(t, cli.ExitOK, "workers", doctor.Warning, "dead ended without a stop")
	handlers := answers()
	handlers[app.MethodHealth] = func(context.Context, json.RawMessage) (any, error) {
		return app.HealthReply{State: "running", Stalled: true, Problems: []string{"redis has not answered for 3s"}}, nil
	}
	ill := examine(t, served(t, handlers, "green")[0])
	ill.want(t, cli.ExitUnavailable, "worker green", doctor.Error, "redis has not answered", "restart it")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	open := examine(t, env[0])
	open.want(t, cli.ExitConfig, "state directory", doctor.Error, "has mode 0755", "WORKER_STATE_DIR")
}

func TestDoctorTellsWhatIsWrongWithFeatures(t *testing.T) {
	t.Parallel()
	idle := func(context.Context, app.Run) (any, error) { return nil, errors.New("idle") }
	jobs := func(jobs ...app.ScheduledJob) app.Option {
		return app.Feature("f", func() app.Contribution { return app.Contribution{Jobs: jobs} })
	}
	odd := runWith(t, args("doctor"), jobs(app.Schedule("odd", idle, app.Cron("*/90 * * * *"))))
	if odd.code != cli.ExitOK || !strings.Contains(odd.stdout, "step 90 is wider than the range") {
		t.Errorf("exit code %d, want 0 and the step that is too wide in\n%s", odd.code, odd.stdout)
	}
	refused := runWith(t, args("doctor"), jobs(app.Schedule("twice", idle), app.Schedule("twice", idle)))
	if refused.code != cli.ExitConfig || !strings.Contains(refused.stdout, "error    schedules") {
		t.Errorf("exit code %d, want 78 and the job of two in\n%s", refused.code, refused.stdout)
	}
	broken := runWith(t, args("doctor"), app.Feature("f", func() app.Contribution { panic("no such table") }))
	if broken.code != cli.ExitInternal || !strings.Contains(broken.stderr, "no such table") {
		t.Errorf("exit code %d, stderr %q, want 70 and the panic", broken.code, broken.stderr)
	}
}

// A feature that does not end its construction hides nothing of the rest.
func TestDoctorGoesOnWithoutWhatHangs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	up := args("migrate", "up")
	up.Environ = []string{"WORKER_DB_PATH=" + path}
	if got := run(t, up); got.code != cli.ExitOK {
		t.Fatalf("migrate up: %+v", got)
	}
	release := make(chan struct{})
	defer close(release)
	i := args("doctor", "--timeout", "10s")
	i.Environ = environ("WORKER_DB_PATH=" + path)
	got := runWith(t, i, app.Feature("slow", func() app.Contribution { <-release; return app.Contribution{} }))
	for _, line := range []string{"error    schedules", "not done in time", "ok       storage ", "ok       time zones"} {
		if !strings.Contains(got.stdout, line) {
			t.Errorf("no %q in\n%s", line, got.stdout)
		}
	}
	if got.code != cli.ExitUnavailable {
		t.Errorf("exit code %d, want 69", got.code)
	}
}

func TestAnInterruptEndsDoctor(t *testing.T) {
	t.Parallel()
	i := args("doctor")
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	release := make(chan struct{})
	defer close(release)
	i.Signals = signals
	got := runWith(t, i, app.Feature("slow", func() app.Contribution { <-release; return app.Contribution{} }))
	if got.code != cli.ExitAbandoned {
		t.Errorf("exit code %d, want 75; it printed\n%s%s", got.code, got.stdout, got.stderr)
	}
}
