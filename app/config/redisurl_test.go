package config_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
)

// onRedis loads a configuration with queues in Redis.
func onRedis(t *testing.T, environ ...string) (*config.Config, config.Report) {
	t.Helper()
	return config.Load(source(t, append(environ, "REDIS_ENABLED=true")...))
}

func TestAnAddressOfRedisIsTakenApart(t *testing.T) {
	for text, want := range map[string]config.Redis{
		"redis://localhost":                    {Addr: "localhost:6379"},
		"redis://localhost/":                   {Addr: "localhost:6379"},
		"REDIS://redis_1.shop.svc.:6380/15":    {Addr: "redis_1.shop.svc.:6380", DB: 15},
		"redis://10.0.0.7:65535/2147483647":    {Addr: "10.0.0.7:65535", DB: 1<<31 - 1},
		"redis://[::1]":                        {Addr: "[::1]:6379"},
		"redis://[2001:db8::1]:1/1":            {Addr: "[2001:db8::1]:1", DB: 1},
		"redis://:geheim@localhost":            {Addr: "localhost:6379", Password: domain.NewSecret("geheim")},
		"redis://user:geheim@localhost":        {Addr: "localhost:6379", Username: "user", Password: domain.NewSecret("geheim")},
		"redis://u%3As%40er:p%2F%23%3f%25@h":   {Addr: "h:6379", Username: "u:s@er", Password: domain.NewSecret("p/#?%")},
		"redis://user:a:b+c!$&'()*,;=[]ü@h":    {Addr: "h:6379", Username: "user", Password: domain.NewSecret("a:b+c!$&'()*,;=[]ü")},
		"redis://user:%ff%20@h":                {Addr: "h:6379", Username: "user", Password: domain.NewSecret("\xff ")},
		"unix:///run/redis.sock":               {Network: "unix", Addr: "/run/redis.sock"},
		"unix:///run/redis.sock?db=3":          {Network: "unix", Addr: "/run/redis.sock", DB: 3},
		"unix://:geheim@/run/re%20dis.sock":    {Network: "unix", Addr: "/run/re dis.sock", Password: domain.NewSecret("geheim")},
		"unix://user:geheim@/run/r.sock?db=15": {Network: "unix", Addr: "/run/r.sock", Username: "user", Password: domain.NewSecret("geheim"), DB: 15},
	} {
		t.Run(text, func(t *testing.T) {
			loaded, report := onRedis(t, "REDIS_URL="+text)
			if err := report.Err(); err != nil {
				t.Fatalf("Load() = %v, want no problem", err)
			}
			if want.Network == "" {
				want.Network = "tcp"
			}
			got, _ := loaded.Redis()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Redis() (-want +got):\n%s", diff)
			}
		})
	}
}

// wrongURLs are refused with the words. "geheim" is a secret in them.
var wrongURLs = map[string]string{
	"localhost:6379":                         "begins with redis://",
	"geheim":                                 "begins with redis://",
	"http://localhost":                       "begins with redis://",
	"redis:/localhost":                       "begins with redis://",
	"redis-sentinel://localhost":             "begins with redis://",
	"://localhost":                           "begins with redis://",
	" redis://localhost":                     "begins with redis://",
	"redis://localhost ":                     "a blank or control character",
	"redis://u:ge heim@localhost":            "a blank or control character",
	"redis://u:ge\theim@localhost":           "a blank or control character",
	"redis://user:ge#heim/x@host:6379/0":     "a # in an address",
	"redis://localhost/0#geheim":             "a # in an address",
	"redis://u:geheim@geheim@localhost":      "more than one @",
	"redis://u:geh/eim@localhost":            "an @ after the host",
	"redis://u:geh?eim@localhost":            "an @ after the host",
	"redis://u:geh%eim@localhost":            "a % without two hexadecimal digits",
	"redis://u:geheim%@localhost":            "a % without two hexadecimal digits",
	"redis://u:geheim%2@localhost":           "a % without two hexadecimal digits",
	"redis://u:geheim%00@localhost":          "a line break or NUL",
	"redis://u:geheim%0a@localhost":          "a line break or NUL",
	"redis://geheim%0D:x@localhost":          "a line break or NUL",
	"redis://geheim@localhost":               "a user without a password",
	"redis://geheim:@localhost":              "a user without a password",
	"redis://:@localhost":                    "an @ without a password",
	"redis://@localhost":                     "an @ without a password",
	"redis://":                               "no host",
	"redis:///0":                             "no host",
	"redis://:6379":                          "no host",
	"redis://u:geheim@:6379/0":               "no host",
	"redis://::1":                            "no host",
	"redis://[::1":                           "no host",
	"redis://[::1]x:1":                       "no host",
	"redis://[127.0.0.1]:1":                  "no host",
	"redis://[]":                             "no host",
	"redis://a,b:6379":                       "no host",
	"redis://a:1,b:2":                        "no host",
	"redis://geh%2Feim":                      "no host",
	"redis://höst":                           "no host",
	"redis://-host":                          "no host",
	"redis://localhost:":                     "the port is not",
	"redis://localhost:0":                    "the port is not",
	"redis://localhost:70000":                "the port is not",
	"redis://localhost:65536":                "the port is not",
	"redis://localhost:-1":                   "the port is not",
	"redis://localhost:0x18eb":               "the port is not",
	"redis://u:geheim@localhost:6379abc":     "the port is not",
	"redis://localhost:1e3":                  "the port is not",
	"redis://user:geheim":                    "the port is not",
	"redis://localhost/-1":                   "the database is not",
	"redis://localhost/2147483648":           "the database is not",
	"redis://localhost/99999999999999999999": "the database is not",
	"redis://localhost/zero":                 "the database is not",
	"redis://localhost/0/geheim":             "the database is not",
	"redis://localhost/%30":                  "the database is not",
	"redis://localhost?db=1":                 "settings after a ?",
	"redis://localhost/0?geheim":             "settings after a ?",
	"redis://localhost/?max_retries=3":       "settings after a ?",
	"redis://localhost/?read_timeout=-1":     "settings after a ?",
	"redis://localhost/?pool_size=-5":        "settings after a ?",
	"rediss://localhost/0?skip_verify=true":  "skip_verify, which would switch the check of the certificate off",
	"rediss://localhost?Skip_Verify=1":       "skip_verify, which would switch the check of the certificate off",
	"unix://":                                "no absolute path",
	"unix:///":                               "no absolute path",
	"unix://run/redis.sock":                  "no absolute path",
	"unix://u:geheim@run/redis.sock":         "no absolute path",
	"unix:///run/re%00dis.sock":              "no absolute path",
	"unix:///run/re@dis.sock":                "an @ after the host",
	"unix:///run/redis.sock?geheim=1":        "settings after a ? other than db",
	"unix:///run/redis.sock?db=1&geheim":     "settings after a ? other than db",
	"unix:///run/redis.sock?db=-1":           "the database is not",
	"unix:///run/redis.sock?db=":             "the database is not",
	"redis://" + strings.Repeat("h", 10000):  "no host",
}

func TestAWrongAddressOfRedisIsRefusedWithoutRepeatingIt(t *testing.T) {
	for text, want := range wrongURLs {
		t.Run(text[:min(len(text), 60)], func(t *testing.T) {
			loaded, report := onRedis(t, "REDIS_URL="+text)
			if loaded != nil || len(report.Problems) != 1 {
				t.Fatalf("Load() = %v with problems %v, want one problem", loaded, report.Problems)
			}
			problem := report.Problems[0]
			if problem.Variable != "REDIS_URL" || problem.Got != "***" || !strings.Contains(problem.What, want) {
				t.Errorf("problem = %s, want REDIS_URL: %s", problem, want)
			}
			checkLines(t, report)
			if shown := shownFor(t, "REDIS_ENABLED=true", "REDIS_URL="+text); strings.Contains(shown, "geheim") {
				t.Errorf("a secret is shown: %s", shown)
			}
		})
	}
}

// shownFor is all that anybody is shown of a configuration.
func shownFor(t *testing.T, environ ...string) string {
	t.Helper()
	entries, report := config.Inspect(config.Source{Environ: append(environ, "HOME=/home/worker")})
	shown, err := json.Marshal([]any{entries, report, report.Strict()})
	if err != nil {
		t.Fatal(err)
	}
	return string(shown) + textOf(report)
}

func TestTheAddressIsShownWithoutUserAndPassword(t *testing.T) {
	for text, want := range map[string]string{
		"rediss://kunde:geheim@redis.example/2": "rediss://***@redis.example:6379/2",
		"redis://localhost:1":                   "redis://localhost:1/0",
		"unix://:geheim@/run/redis.sock":        "unix://***@/run/redis.sock?db=0",
	} {
		shown := map[string]config.Entry{}
		for _, entry := range mustLoad(t, source(t, "REDIS_ENABLED=true", "REDIS_URL="+text)).Entries() {
			shown[entry.Name] = entry
		}
		if got := shown["REDIS_URL"].Value; got != want {
			t.Errorf("REDIS_URL=%s is shown as %s, want %s", text, got, want)
		}
		if got := shown["REDIS_PASSWORD"].Value; got != "***" && got != "" {
			t.Errorf("REDIS_PASSWORD is shown as %s, want ***", got)
		}
	}
}

func FuzzRedisURL(f *testing.F) {
	for text := range wrongURLs {
		f.Add(text, "geheim")
	}
	for _, text := range []string{
		"redis://localhost", "rediss://u:p@h:1/2", "unix:///run/redis.sock?db=1", "redis://[::1]:6379/0", "redis://u%3A:%40@h",
	} {
		f.Add(text, "p@ss#w/ord?%:")
	}
	f.Fuzz(func(t *testing.T, text, password string) {
		staysSecret(t, text)
		survivesEncoding(t, password)
	})
}

// staysSecret wants of any text that it is refused without being repeated, or
// means what net/url would read as well.
func staysSecret(t *testing.T, text string) {
	t.Helper()
	loaded, report := config.Load(config.Source{Environ: []string{"REDIS_ENABLED=true", "REDIS_URL=" + text, "HOME=/home/worker"}})
	if loaded == nil {
		for _, problem := range report.Problems {
			if problem.Got != "***" {
				t.Errorf("problem = %s, want the value masked", problem)
			}
			if _, same := config.Load(config.Source{Environ: []string{"REDIS_ENABLED=true", "REDIS_URL=redis://u:geheim@h:x", "HOME=/home/worker"}}); problem.Expected != same.Problems[0].Expected {
				t.Errorf("problem = %s, want the rule of every address", problem)
			}
		}
		return
	}
	if text == "" {
		return
	}
	got, _ := loaded.Redis()
	oracle, err := url.Parse(text)
	if err != nil || got.Network == "unix" {
		return // net/url does not know every byte that we take, and sockets otherwise.
	}
	password, _ := oracle.User.Password()
	if password != got.Password.Reveal() || oracle.User.Username() != got.Username || !strings.HasPrefix(got.Addr, oracle.Host) ||
		(oracle.Scheme == "rediss") != (got.TLS != nil) {
		t.Errorf("REDIS_URL=%q is %+v (password %q), but net/url reads %+v", text, got, got.Password.Reveal(), oracle)
	}
}

// survivesEncoding wants that every password can be written down.
func survivesEncoding(t *testing.T, password string) {
	t.Helper()
	if password == "" || strings.ContainsAny(password, "\r\n\x00") {
		return
	}
	text := "rediss://user:" + strings.ReplaceAll(url.QueryEscape(password), "+", "%20") + "@redis.example"
	loaded, report := config.Load(config.Source{Environ: []string{"REDIS_ENABLED=true", "REDIS_URL=" + text, "HOME=/home/worker"}})
	if err := report.Err(); err != nil {
		t.Fatalf("password %q as %s: %v", password, text, err)
	}
	if got, _ := loaded.Redis(); got.Password.Reveal() != password {
		t.Errorf("password %q as %s is %q", password, text, got.Password.Reveal())
	}
}
