package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
)

func TestThePartsMakeTheConnection(t *testing.T) {
	for _, c := range []struct {
		environ string
		want    config.Redis
	}{
		{"", config.Redis{Addr: "127.0.0.1:6379"}},
		{"REDIS_HOST=localhost REDIS_PORT=65535", config.Redis{Addr: "localhost:65535"}},
		{"REDIS_HOST=::1", config.Redis{Addr: "[::1]:6379"}},
		{"REDIS_HOST=[::1]", config.Redis{Addr: "[::1]:6379"}},
		{"REDIS_USER=u%40 REDIS_PASSWORD=p%40#?/@:", config.Redis{Addr: "127.0.0.1:6379", Username: "u%40", Password: domain.NewSecret("p%40#?/@:")}},
		{"REDIS_PASSWORD=\xff", config.Redis{Addr: "127.0.0.1:6379", Password: domain.NewSecret("\xff")}},
		{"REDIS_PASSWORD=" + strings.Repeat("p", 10<<10), config.Redis{Addr: "127.0.0.1:6379", Password: domain.NewSecret(strings.Repeat("p", 10<<10))}},
	} {
		loaded, report := onRedis(t, strings.Split(c.environ, " ")...)
		if err := report.Err(); err != nil || len(report.Warnings) > 0 {
			t.Errorf("%.60s: %v with warnings %v, want neither", c.environ, err, report.Warnings)
			continue
		}
		c.want.Network = "tcp"
		got, _ := loaded.Redis()
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%.60s (-want +got):\n%s", c.environ, diff)
		}
	}
}

func TestWrongPartsAreRefusedWithoutASecret(t *testing.T) {
	for _, c := range []struct{ environ, variable, want string }{
		{"REDIS_HOST=host:6380", "REDIS_HOST", "a port beside the host; REDIS_PORT takes it"},
		{"REDIS_HOST=[::1]:6380", "REDIS_HOST", "a port beside the host; REDIS_PORT takes it"},
		{"REDIS_HOST=http://geheim", "REDIS_HOST", "REDIS_URL takes addresses"},
		{"REDIS_HOST=redis://u:geheim@host", "REDIS_HOST", "REDIS_URL takes addresses"},
		{"REDIS_HOST=u:geheim@host", "REDIS_HOST", "REDIS_URL takes them"},
		{"REDIS_HOST= host", "REDIS_HOST", "blank before or after"},
		{"REDIS_HOST= ", "REDIS_HOST", "blank before or after"},
		{"REDIS_HOST=a b", "REDIS_HOST", "not the name or address of a host"},
		{"REDIS_HOST=a,b", "REDIS_HOST", "not the name or address of a host"},
		{"REDIS_HOST=[::1", "REDIS_HOST", "not the name or address of a host"},
		{"REDIS_HOST=host\n", "REDIS_HOST", "blank before or after"},
		{"REDIS_PORT=0", "REDIS_PORT", "below the range"},
		{"REDIS_PORT=-1", "REDIS_PORT", "below the range"},
		{"REDIS_PORT=65536", "REDIS_PORT", "above the range"},
		{"REDIS_PORT=6379abc", "REDIS_PORT", "not a whole decimal number"},
		{"REDIS_PORT= 6379", "REDIS_PORT", "blank before or after"},
		{"REDIS_PORT=0x18eb", "REDIS_PORT", "not a whole decimal number"},
		{"REDIS_PORT=1e3", "REDIS_PORT", "not a whole decimal number"},
		{"REDIS_USER=geheim\x01REDIS_PASSWORD=", "REDIS_USER", "a user without REDIS_PASSWORD"},
		{"REDIS_USER=u\n\x01REDIS_PASSWORD=geheim", "REDIS_USER", "a line break or NUL"},
		{"REDIS_PASSWORD=geheim\r", "REDIS_PASSWORD", "a line break or NUL"},
		{"REDIS_PASSWORD=ge\x00heim", "REDIS_PASSWORD", "a line break or NUL"},
		{"REDIS_TLS=TRUEE", "REDIS_TLS", "not a boolean"},
		{"REDIS_REQUIRE_TLS=flase", "REDIS_REQUIRE_TLS", "not a boolean"},
		{"REDIS_TLS=true\x01REDIS_SERVER_NAME=a:1", "REDIS_SERVER_NAME", "a port beside the host"},
		{"REDIS_TLS=true\x01REDIS_CA_CERT=/run/\x07", "REDIS_CA_CERT", "control characters"},
		{"WORKER_QUEUE_PREFIX=a:b", "WORKER_QUEUE_PREFIX", "not a queue prefix"},
		{"WORKER_QUEUE_PREFIX={a", "WORKER_QUEUE_PREFIX", "not a queue prefix"},
		{"WORKER_QUEUE_PREFIX={}", "WORKER_QUEUE_PREFIX", "not a queue prefix"},
		{"WORKER_QUEUE_PREFIX=a b", "WORKER_QUEUE_PREFIX", "not a queue prefix"},
		{"WORKER_QUEUE_PREFIX=a{b}", "WORKER_QUEUE_PREFIX", "not a queue prefix"},
		{"WORKER_BULLMQ_PROFILE=v4", "WORKER_BULLMQ_PROFILE", "not one of the choices"},
	} {
		t.Run(c.environ, func(t *testing.T) {
			environ := append(strings.Split(c.environ, "\x01"), "REDIS_ENABLED=true")
			_, report := config.Load(source(t, environ...))
			if len(report.Problems) != 1 || report.Problems[0].Variable != c.variable || !strings.Contains(report.Problems[0].What, c.want) {
				t.Fatalf("problems = %v, want %s: %s", report.Problems, c.variable, c.want)
			}
			checkLines(t, report)
			if shown := shownFor(t, environ...); c.variable != "REDIS_USER" && strings.Contains(shown, "geheim") && !strings.Contains(c.environ, "http://") {
				t.Errorf("a secret is shown: %s", shown)
			}
		})
	}
}

func TestMistakesOfPartsAreReportedAlsoWithoutRedis(t *testing.T) {
	_, report := config.Load(source(t, "REDIS_PORT=0", "REDIS_URL=localhost"))
	if len(report.Problems) != 2 {
		t.Errorf("problems = %v, want those of REDIS_PORT and REDIS_URL", report.Problems)
	}
}

func TestWithoutRedisItsVariablesAreNotLookedAtTogether(t *testing.T) {
	loaded, report := config.Load(source(t,
		"REDIS_URL=redis://u:geheim@redis.example", "REDIS_HOST=other", "REDIS_TLS=true", "REDIS_REQUIRE_TLS=true",
		"REDIS_CA_CERT=/nowhere", "REDIS_KEY=/nowhere", "REDIS_PASSWORD= "))
	if err := report.Err(); err != nil || len(report.Warnings) > 0 {
		t.Fatalf("Load() = %v with warnings %v, want neither", err, report.Warnings)
	}
	if got, ok := loaded.Redis(); ok {
		t.Errorf("Redis() = %+v, want none", got)
	}
}

func TestALedgerInRedisNeedsAConnectionWhateverTheQueueIs(t *testing.T) {
	for _, backend := range []string{"memory", "none", "redis"} {
		loaded := mustLoad(t, source(t, "WORKER_LEDGER=redis", "WORKER_QUEUE_BACKEND="+backend, "REDIS_HOST=localhost"))
		if got, ok := loaded.Redis(); !ok || got.Addr != "localhost:6379" || loaded.Queue.Ledger != config.LedgerRedis {
			t.Errorf("%s: Redis() = %+v, %v with ledger %q, want localhost and redis", backend, got, ok, loaded.Queue.Ledger)
		}
	}
	loaded := mustLoad(t, source(t, "WORKER_LEDGER=memory", "REDIS_ENABLED=true"))
	if _, ok := loaded.Redis(); !ok || loaded.Queue.Ledger != config.LedgerMemory {
		t.Errorf("a connection: %v, ledger %q; want one, and memory", ok, loaded.Queue.Ledger)
	}
}

func TestTheAddressWinsOverThePartsWithOneWarning(t *testing.T) {
	const address = "REDIS_URL=redis://one@"
	for _, c := range []struct{ environ, problem, warning string }{
		{"REDIS_URL=redis://one", "", ""},
		{"REDIS_URL=redis://one REDIS_HOST=two", "", "REDIS_URL: wins over REDIS_HOST, which is ignored"},
		{
			"REDIS_URL=redis://one REDIS_HOST=two REDIS_PORT=1 REDIS_USER=u REDIS_PASSWORD=geheim", "",
			"REDIS_URL: wins over REDIS_HOST, REDIS_PORT, REDIS_USER and REDIS_PASSWORD, which are ignored",
		},
		{"REDIS_URL=redis://one REDIS_USER=u", "", "REDIS_URL: wins over REDIS_USER, which is ignored"},
		{"REDIS_URL=redis://one REDIS_TLS=false", "", ""},
		{"REDIS_URL=rediss://one REDIS_TLS=on", "", ""},
		{"REDIS_URL=rediss://one REDIS_TLS=false", "REDIS_TLS: contradicts the scheme of REDIS_URL", ""},
		{"REDIS_URL=redis://one REDIS_TLS=true", "REDIS_TLS: contradicts the scheme of REDIS_URL", ""},
		{"REDIS_URL=unix:///run/redis.sock REDIS_TLS=true", "REDIS_TLS: contradicts the scheme of REDIS_URL", ""},
	} {
		t.Run(strings.TrimPrefix(c.environ, address), func(t *testing.T) {
			_, report := onRedis(t, strings.Split(c.environ, " ")...)
			expect(t, "problems", report.Problems, c.problem)
			expect(t, "warnings", report.Warnings, c.warning)
			checkLines(t, report)
			if strings.Contains(text(report), "geheim") {
				t.Errorf("a secret is shown: %s", text(report))
			}
		})
	}
}

// expect wants the one problem with the words, or none.
func expect(t *testing.T, what string, got []config.Problem, want string) {
	t.Helper()
	if want == "" {
		if len(got) > 0 {
			t.Errorf("%s = %v, want none", what, got)
		}
		return
	}
	if len(got) != 1 || !strings.Contains(got[0].String(), want) {
		t.Errorf("%s = %v, want %s", what, got, want)
	}
}

func TestPlaintextToAnotherHostIsWarnedOfOrRefused(t *testing.T) {
	const words = "the connection to Redis on another host has no TLS"
	for _, c := range []struct {
		environ                  string
		plain, secret, plainMust string
	}{
		{environ: "REDIS_HOST=redis.example", secret: "REDIS_PASSWORD", plainMust: "REDIS_REQUIRE_TLS"},
		{environ: "REDIS_HOST=10.0.0.1", secret: "REDIS_PASSWORD", plainMust: "REDIS_REQUIRE_TLS"},
		{environ: "REDIS_HOST=localhost.example", secret: "REDIS_PASSWORD", plainMust: "REDIS_REQUIRE_TLS"},
		{environ: "REDIS_HOST=127.8.0.1"},
		{environ: "REDIS_HOST=::1"},
		{environ: "REDIS_HOST=::ffff:127.0.0.1"},
		{environ: "REDIS_HOST=LocalHost"},
		{environ: "REDIS_HOST=redis.localhost."},
		{environ: "REDIS_HOST=redis.example REDIS_TLS=true"},
		{environ: ""},
	} {
		t.Run(c.environ, func(t *testing.T) {
			environ := strings.Split(c.environ, " ")
			_, report := onRedis(t, environ...)
			expect(t, "without a password: warnings", report.Warnings, "")
			secret := append(environ, "REDIS_PASSWORD=geheim")
			loaded, report := onRedis(t, secret...)
			want := ""
			if c.secret != "" {
				want = c.secret + ": " + words
			}
			expect(t, "with a password: warnings", report.Warnings, want)
			if loaded == nil || strings.Contains(text(report), "geheim") {
				t.Errorf("problems %v, want none", report)
			}
			for _, strict := range [][]string{append(environ, "REDIS_REQUIRE_TLS=true"), append(secret, "REDIS_REQUIRE_TLS=true")} {
				_, report := onRedis(t, strict...)
				want := ""
				if c.plainMust != "" {
					want = c.plainMust + ": " + words
				}
				expect(t, "TLS required: problems", report.Problems, want)
				expect(t, "TLS required: warnings", report.Warnings, "")
			}
		})
	}
	_, report := onRedis(t, "REDIS_URL=redis://:geheim@redis.example")
	expect(t, "warnings", report.Warnings, "REDIS_URL: "+words+": the password crosses the network in plaintext")
	_, report = onRedis(t, "REDIS_URL=unix://:geheim@/run/redis.sock", "REDIS_REQUIRE_TLS=true")
	expect(t, "socket: warnings", append(report.Warnings, report.Problems...), "")
}

func TestBlanksAroundASecretAreKeptWithAWarning(t *testing.T) {
	loaded, report := onRedis(t, "REDIS_PASSWORD= geheim")
	expect(t, "warnings", report.Warnings, "REDIS_PASSWORD: blank before or after the value, which is taken as part of it")
	if got, _ := loaded.Redis(); got.Password.Reveal() != " geheim" || strings.Contains(text(report), "geheim") {
		t.Errorf("password %q, report %s; want it kept and not shown", got.Password.Reveal(), text(report))
	}
}

func TestRedisIsTakenFromOneOriginAsAWhole(t *testing.T) {
	for _, c := range []struct {
		about                    string
		environment, local, base string
		addr, password           string
		warning                  string
	}{
		{about: "all in the base file", base: "REDIS_HOST=base\nREDIS_PORT=1", addr: "base:1"},
		{
			about: "address in the environment, parts in a file", environment: "REDIS_URL=redis://env",
			base: "REDIS_HOST=base\nREDIS_PASSWORD=secret", addr: "env:6379",
		},
		{
			about: "part in the environment, address in a file", environment: "REDIS_HOST=env",
			base: "REDIS_URL=redis://:secret@base", addr: "env:6379",
		},
		{
			about: "local beats base as a whole", local: "REDIS_HOST=local", base: "REDIS_HOST=base\nREDIS_PORT=1\nREDIS_PASSWORD=secret",
			addr: "local:6379",
		},
		{
			about: "password alone in the environment", environment: "REDIS_PASSWORD=secret", base: "REDIS_HOST=base",
			addr: "127.0.0.1:6379", password: "secret",
			warning: "REDIS_HOST: ignored: where Redis is comes as a whole from the place that sets REDIS_PASSWORD (environment), set in .env:1",
		},
		{
			about: "port alone in the local file", local: "REDIS_PORT=1", base: "\nREDIS_URL=redis://base",
			addr:    "127.0.0.1:1",
			warning: "REDIS_URL: ignored: where Redis is comes as a whole from the place that sets REDIS_PORT (.env.local:1), set in .env:2",
		},
		{
			about: "an empty one masks and decides nothing", environment: "REDIS_PASSWORD=", base: "REDIS_HOST=base\nREDIS_PASSWORD=secret",
			addr: "base:6379",
		},
	} {
		t.Run(c.about, func(t *testing.T) {
			from := source(t, "REDIS_ENABLED=true", c.environment)
			write(t, from.Dir, ".env.local", c.local)
			write(t, from.Dir, ".env", c.base)
			loaded, report := config.Load(from)
			if err := report.Err(); err != nil {
				t.Fatal(err)
			}
			got, _ := loaded.Redis()
			if got.Addr != c.addr || got.Password.Reveal() != c.password {
				t.Errorf("address %s, password %q; want %s, %q", got.Addr, got.Password.Reveal(), c.addr, c.password)
			}
			expect(t, "warnings", report.Warnings, c.warning)
		})
	}
}

func TestOverrideMovesRedisAsAWhole(t *testing.T) {
	from := source(t, "WORKER_DOTENV_OVERRIDE=true", "REDIS_ENABLED=true", "REDIS_HOST=env", "REDIS_PASSWORD=secret")
	write(t, from.Dir, ".env.local", "REDIS_PORT=1\nREDIS_HOST=local")
	if got, _ := mustLoad(t, from).Redis(); got.Addr != "local:1" || !got.Password.IsZero() {
		t.Errorf("Redis() = %+v, want local:1 without a password", got)
	}
}

func TestEntriesShowWhereRedisComesFrom(t *testing.T) {
	from := source(t, "REDIS_ENABLED=true", "REDIS_URL=rediss://kunde:geheim@one:1/2", "REDIS_HOST=ignored")
	write(t, from.Dir, ".env", "REDIS_PASSWORD=other")
	origins := map[string]string{}
	for _, entry := range mustLoad(t, from).Entries() {
		origins[entry.Name] = entry.Value + " from " + entry.Origin.String()
	}
	for name, want := range map[string]string{
		"REDIS_URL":      "rediss://***@one:1/2 from environment",
		"REDIS_HOST":     "one from environment (REDIS_URL)",
		"REDIS_PORT":     "1 from environment (REDIS_URL)",
		"REDIS_USER":     "kunde from environment (REDIS_URL)",
		"REDIS_PASSWORD": "*** from environment (REDIS_URL)",
		"REDIS_TLS":      "true from environment (REDIS_URL)",
	} {
		if origins[name] != want {
			t.Errorf("%s = %s, want %s", name, origins[name], want)
		}
	}
	from = source(t, "REDIS_ENABLED=true", "REDIS_HOST=one")
	write(t, from.Dir, ".env", "REDIS_PASSWORD=other")
	want := "default (not from .env:1, for Redis is set elsewhere)"
	if got := mustLoad(t, from).Origin("REDIS_PASSWORD").String(); got != want {
		t.Errorf("REDIS_PASSWORD from %s, want %s", got, want)
	}
}

func TestAConnectionShowsNoPassword(t *testing.T) {
	loaded := mustLoad(t, source(t, "REDIS_ENABLED=true", "REDIS_PASSWORD=geheim"))
	redis, _ := loaded.Redis()
	if shown := fmt.Sprintf("%v %+v %#v %v", redis, redis, redis, loaded); strings.Contains(shown, "geheim") {
		t.Errorf("the password is shown: %s", shown)
	}
}
