package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
)

var update = flag.Bool("update", false, "rewrite the golden files, deploy/worker.env.example and docs/configuration.md")

// mistakes has one case for each class of mistake; the report is the golden file.
var mistakes = []struct {
	name    string
	environ []string
	base    string
}{
	{name: "booleans", environ: []string{
		"WORKER_QUEUE_ENABLED=flase", "WORKER_SCHEDULER_ENABLED=2", "WORKER_HEARTBEAT_ENABLED= ", "REDIS_ENABLED=nope",
		"WORKER_STRICT_QUEUES=t", "WORKER_JOB_ENABLED=✓", "WORKER_DOTENV_OVERRIDE=y",
	}},
	{name: "counts", environ: []string{
		"WORKER_CONCURRENCY=0x10", "WORKER_JOB_RETRIES=-1", "WORKER_MEMORY_MAX_JOBS=1e9",
	}},
	{name: "counts_out_of_range", environ: []string{
		"WORKER_CONCURRENCY=10001", "WORKER_JOB_RETRIES=99999999999999999999", "WORKER_MEMORY_MAX_JOBS= 10",
	}},
	{name: "durations", environ: []string{
		"WORKER_JOB_RETRY_DELAY=10", "WORKER_JOB_TIMEOUT=10m10", "WORKER_JOB_MAX_RANDOM_DELAY=∞",
		"WORKER_START_TIMEOUT=1e9", "WORKER_SHUTDOWN_TIMEOUT= 5s",
	}},
	{name: "durations_out_of_range", environ: []string{
		"WORKER_JOB_RETRY_DELAY=-1s", "WORKER_JOB_TIMEOUT=0s", "WORKER_JOB_MAX_RANDOM_DELAY=25h",
		"WORKER_START_TIMEOUT=106751d24h", "WORKER_SHUTDOWN_TIMEOUT=9223372036854775807d",
	}},
	{name: "durations_misspelled", environ: []string{
		"WORKER_JOB_RETRY_DELAY=d", "WORKER_JOB_TIMEOUT=0", "WORKER_JOB_MAX_RANDOM_DELAY=1d-5s", "WORKER_START_TIMEOUT=1.5d",
		"WORKER_SHUTDOWN_TIMEOUT=five seconds",
	}},
	{name: "sizes", environ: []string{"WORKER_MAX_PAYLOAD=6MiB", "WORKER_MEMORY_MAX_BYTES=64MB"}},
	{name: "sizes_overflowing", environ: []string{"WORKER_MAX_PAYLOAD=9223372036854775807GiB", "WORKER_MEMORY_MAX_BYTES=MiB"}},
	{name: "sizes_too_small", environ: []string{"WORKER_MAX_PAYLOAD=1", "WORKER_MEMORY_MAX_BYTES=-64MiB"}},
	{name: "choices", environ: []string{
		"LOG_LEVEL=warning", "WORKER_UNKNOWN_JOBS=drop", "WORKER_QUEUE_BACKEND=rabbit", "WORKER_LEDGER=sqll",
	}},
	{name: "queue_name_colon", environ: []string{"WORKER_DEFAULT_QUEUE=a:b", "WORKER_QUEUES=mail,{x}"}},
	{name: "queue_name_path", environ: []string{"WORKER_DEFAULT_QUEUE=../x", "WORKER_QUEUES=mail,,reports"}},
	{name: "queue_name_long", environ: []string{"WORKER_DEFAULT_QUEUE=" + strings.Repeat("q", 300), "WORKER_QUEUES=a,b,a"}},
	{name: "queue_name_unprintable", environ: []string{"WORKER_DEFAULT_QUEUE=a\nb\x1b[31m\x00", "WORKER_QUEUES=\xff,🦊"}},
	{name: "queue_name_blank", environ: []string{"WORKER_DEFAULT_QUEUE=  ", "WORKER_QUEUES=,"}},
	{name: "process_names", environ: []string{
		"WORKER_NAMESPACE=Shop", "WORKER_INSTANCE=a/b", "WORKER_DEPLOY_ID=-", "WORKER_STATE_DIR=run/takt",
	}},
	{name: "state_dir_unprintable", environ: []string{"WORKER_STATE_DIR=/run/\x07"}},
	{name: "state_dir_too_long", environ: []string{"WORKER_STATE_DIR=/" + strings.Repeat("d", 100)}},
	{name: "zone_unknown", environ: []string{"WORKER_TIMEZONE=Mars/Base"}},
	{name: "zone_nearest", environ: []string{"WORKER_TIMEZONE=Europe/Berlim"}},
	{name: "zone_case", environ: []string{"WORKER_TIMEZONE=utc"}},
	{name: "zone_offset", environ: []string{"WORKER_TIMEZONE=+02:00"}},
	{name: "zone_local", environ: []string{"WORKER_TIMEZONE=Local"}},
	{name: "zone_path", environ: []string{"WORKER_TIMEZONE=../../etc/passwd"}},
	{name: "zone_huge", environ: []string{"WORKER_TIMEZONE=" + strings.Repeat("Z", 1<<20)}},
	{name: "cron_fields", environ: []string{"WORKER_HEARTBEAT_CRON=* * * *"}},
	{name: "cron_unprintable", environ: []string{"WORKER_HEARTBEAT_CRON=* * * *\t*\r"}},
	{name: "contradictions", environ: []string{
		"WORKER_QUEUE_BACKEND=redis", "WORKER_QUEUE_ENABLED=false", "REDIS_ENABLED=false",
	}},
	{name: "redis_cluster", environ: []string{
		"REDIS_ENABLED=true", "REDIS_CLUSTER_NODES=redis-1.example, redis-2.example:7000", "REDIS_DB=3", "REDIS_SENTINEL_NAME=mymaster",
	}},
	{name: "redis_sentinels", environ: []string{
		"REDIS_ENABLED=true", "REDIS_SENTINELS=sentinel.example", "REDIS_SENTINEL_USER=u", "REDIS_REQUIRE_TLS=true",
		"REDIS_SENTINEL_CA_CERT=/run/ca.pem",
	}},
	{name: "redis_places", environ: []string{
		"REDIS_ENABLED=true", "REDIS_URL=redis://redis.example", "REDIS_CLUSTER_NODES=redis.example", "REDIS_SENTINELS=sentinel.example",
	}},
	{name: "redis_hosts", environ: []string{
		"REDIS_CLUSTER_NODES=redis://user:geheim@redis.example", "REDIS_SENTINELS=a:1,a:1", "REDIS_SENTINEL_NAME=my master",
	}},
	{name: "ledger_contradiction", environ: []string{"WORKER_LEDGER=redis", "REDIS_ENABLED=no"}},
	{name: "database_undecided", environ: []string{"DB_URI=postgres://u:geheim@db.example/shop", "DB_PASS=geheim"}},
	{name: "database_types", environ: []string{"DB_TYPE=mysql", "DB_PORT=0", "DB_SSL_MODE=prefer", "DB_POOL_SIZE=0", "DB_AUTO_MIGRATE=maybe"}},
	{name: "database_parts", environ: []string{
		"DB_TYPE=postgres", "DB_HOST=db.example:5432", "DB_NAME=" + strings.Repeat("n", 64), "DB_USER=a\nb", "DB_PASS=ge\nheim",
	}},
	{name: "database_tls", environ: []string{"DB_TYPE=postgres", "DB_HOST=db.example", "DB_SSL_MODE=true", "DB_REQUIRE_TLS=yes", "DB_CA_CERT=/nowhere/ca.pem"}},
	{name: "database_contradiction", environ: []string{
		"DB_TYPE=postgres", "DB_URI=postgres://u:geheim@localhost/shop?sslmode=disable", "DB_SSL_MODE=require", "DB_CA_CERT=ca.pem",
	}},
	{name: "database_file", environ: []string{"DB_TYPE=sqlite3", "DB_PATH=file:shop.db?mode=ro", "WORKER_DB_PATH=:memory:"}},
	{name: "database_file_shared", environ: []string{"DB_TYPE=sqlite", "DB_PATH=/srv/shop.db", "WORKER_DB_PATH=/srv/./shop.db"}},
	{name: "no_home", environ: []string{"HOME=", "XDG_STATE_HOME=state"}},
	{name: "payload_larger_than_queue", environ: []string{"WORKER_MAX_PAYLOAD=1MiB", "WORKER_MEMORY_MAX_BYTES=64KiB"}},
	{name: "dotenv_value", base: "# comment\nWORKER_CONCURRENCY=\"many\"\n"},
	{name: "dotenv_syntax", base: "geheim\nA='x' geheim\nB=geh\x00eim\nC=\"ge\x00heim\"\n=geheim\nD=\"geheim\nE=1\n"},
	{name: "dotenv_too_large", base: strings.Repeat("#", 1<<20+1)},
	{name: "dotenv_warnings", base: "WORKER_NAMESPACE=one\nWORKER_NAMESPACE=two#three\n"},
	{name: "unknown_names", environ: []string{
		"WORKER_TIMZONE=UTC", "WORKER_SERVICE_PORT_8080_TCP=geheim", "WORKER_\x1b[31m=x", "WORKER_PASSWORD=geheim",
	}},
}

func TestEachClassOfMistakeHasItsReport(t *testing.T) {
	for _, c := range mistakes {
		t.Run(c.name, func(t *testing.T) {
			from := source(t, c.environ...)
			if c.base != "" {
				write(t, from.Dir, ".env", c.base)
			}
			loaded, report := config.Load(from)
			if (loaded == nil) != (len(report.Problems) > 0) {
				t.Errorf("Load() = %v with %d problems, want a configuration or problems", loaded, len(report.Problems))
			}
			checkLines(t, report)
			golden(t, filepath.Join("testdata", c.name+".golden"), text(report))
		})
	}
}

func text(report config.Report) string {
	var lines strings.Builder
	for _, problem := range report.Problems {
		lines.WriteString("problem  " + problem.String() + "\n")
	}
	for _, warning := range report.Warnings {
		lines.WriteString("warning  " + warning.String() + "\n")
	}
	return lines.String()
}

var uniform = regexp.MustCompile(`^config: (\S+|"[^"]+"): .+ \(got ("(.*)"|\*\*\*)\); expected .+; example .+$`)

// checkLines wants every problem of a value on one line of the uniform shape.
func checkLines(t *testing.T, report config.Report) {
	t.Helper()
	for _, problem := range report.Problems {
		line := problem.String()
		if problem.Got != "" && !uniform.MatchString(line) {
			t.Errorf("problem = %q, want the shape %s", line, uniform)
		}
		if strings.ContainsAny(line, "\n\r\x1b\x00") {
			t.Errorf("problem = %q, want one printable line", line)
		}
		if got := len([]rune(problem.Got)); got > 64 {
			t.Errorf("%s: the shown value has %d characters, want at most 64", problem.Variable, got)
		}
	}
}

// golden compares with a file, or writes it under -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestAFileThatCannotBeReadIsAProblemAndNeverBlocks(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(path string) error
		want string
	}{
		{"directory", func(path string) error { return os.Mkdir(path, 0o700) }, "cannot be read: a directory"},
		{"named pipe", func(path string) error { return syscall.Mkfifo(path, 0o600) }, "cannot be read: not a regular file"},
		{
			"link to itself", func(path string) error { return os.Symlink(path, path) },
			"cannot be read: too many levels of symbolic links",
		},
		{"device", func(path string) error { return os.Symlink("/dev/zero", path) }, "cannot be read: not a regular file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := source(t)
			if err := c.make(filepath.Join(from.Dir, ".env")); err != nil {
				t.Fatal(err)
			}
			_, report := config.Load(from)
			want := "config: .env: " + c.want + "; expected a readable text file of at most 1MiB, or none"
			if len(report.Problems) != 1 || report.Problems[0].String() != want {
				t.Errorf("problems = %v, want %s", report.Problems, want)
			}
		})
	}
}

func TestAnUnreadableFileIsAProblem(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads every file")
	}
	from := source(t)
	write(t, from.Dir, ".env", "A=b")
	if err := os.Chmod(filepath.Join(from.Dir, ".env"), 0); err != nil {
		t.Fatal(err)
	}
	if _, report := config.Load(from); !strings.Contains(report.Err().Error(), "permission denied") {
		t.Errorf("problems = %v, want permission denied", report.Problems)
	}
}

func TestALinkToAFileIsRead(t *testing.T) {
	from := source(t)
	write(t, from.Dir, "mounted", "WORKER_NAMESPACE=linked")
	if err := os.Symlink(filepath.Join(from.Dir, "mounted"), filepath.Join(from.Dir, ".env")); err != nil {
		t.Fatal(err)
	}
	if got := mustLoad(t, from).Process.Namespace; got != "linked" {
		t.Errorf("namespace = %q, want linked", got)
	}
}
