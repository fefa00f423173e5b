package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
)

const (
	unset = config.SwitchUnset
	off   = config.SwitchOff
	on    = config.SwitchOn
)

// backendTable has every combination, grouped by WORKER_QUEUE_BACKEND. Against
// names the contradicted variables.
var backendTable = []struct {
	set     config.Backend
	queue   config.Switch
	redis   config.Switch
	want    config.Backend
	against string
}{
	{"", unset, unset, "memory", ""},
	{"", unset, off, "memory", ""},
	{"", unset, on, "redis", ""},
	{"", off, unset, "none", ""},
	{"", off, off, "none", ""},
	{"", off, on, "none", ""},
	{"", on, unset, "memory", ""},
	{"", on, off, "memory", ""},
	{"", on, on, "redis", ""},

	{"redis", unset, unset, "redis", ""},
	{"redis", unset, off, "redis", "REDIS_ENABLED"},
	{"redis", unset, on, "redis", ""},
	{"redis", off, unset, "redis", "WORKER_QUEUE_ENABLED"},
	{"redis", off, off, "redis", "WORKER_QUEUE_ENABLED REDIS_ENABLED"},
	{"redis", off, on, "redis", "WORKER_QUEUE_ENABLED"},
	{"redis", on, unset, "redis", ""},
	{"redis", on, off, "redis", "REDIS_ENABLED"},
	{"redis", on, on, "redis", ""},

	{"memory", unset, unset, "memory", ""},
	{"memory", unset, off, "memory", ""},
	{"memory", unset, on, "memory", ""},
	{"memory", off, unset, "memory", "WORKER_QUEUE_ENABLED"},
	{"memory", off, off, "memory", "WORKER_QUEUE_ENABLED"},
	{"memory", off, on, "memory", "WORKER_QUEUE_ENABLED"},
	{"memory", on, unset, "memory", ""},
	{"memory", on, off, "memory", ""},
	{"memory", on, on, "memory", ""},

	{"none", unset, unset, "none", ""},
	{"none", unset, off, "none", ""},
	{"none", unset, on, "none", ""},
	{"none", off, unset, "none", ""},
	{"none", off, off, "none", ""},
	{"none", off, on, "none", ""},
	{"none", on, unset, "none", ""},
	{"none", on, off, "none", ""},
	{"none", on, on, "none", ""},
}

func TestTheBackendFollowsEveryCombinationOfSwitches(t *testing.T) {
	seen := map[config.Wish]bool{}
	for _, c := range backendTable {
		wish := config.Wish{Backend: c.set, QueueEnabled: c.queue, RedisEnabled: c.redis}
		seen[wish] = true
		got, contradictions := wish.Resolve()
		var against []string
		for _, pair := range contradictions {
			against = append(against, pair.Other)
			if pair.Variable != "WORKER_QUEUE_BACKEND" || pair.Value != string(c.set) || pair.OtherValue != "false" {
				t.Errorf("%+v.Resolve(): contradiction %+v, want it to name both settings", wish, pair)
			}
		}
		if got != c.want || strings.Join(against, " ") != c.against {
			t.Errorf("%+v.Resolve() = %q against %q, want %q against %q", wish, got, against, c.want, c.against)
		}
	}
	if len(seen) != 4*3*3 {
		t.Errorf("the table has %d combinations, want %d", len(seen), 4*3*3)
	}
}

func TestLoadAgreesWithEveryCombination(t *testing.T) {
	words := map[config.Switch]string{unset: "", off: "false", on: "true"}
	for _, c := range backendTable {
		environ := []string{
			"WORKER_QUEUE_BACKEND=" + string(c.set), "WORKER_QUEUE_ENABLED=" + words[c.queue], "REDIS_ENABLED=" + words[c.redis],
		}
		loaded, report := config.Load(config.Source{Environ: append(environ, "HOME=/home/worker")})
		text := ""
		if err := report.Err(); err != nil {
			text = err.Error()
		}
		for name := range strings.FieldsSeq(c.against) {
			if !strings.Contains(text, "WORKER_QUEUE_BACKEND: contradicts "+name+"=false (environment)") {
				t.Errorf("%v: %s\nwant a contradiction with %s", environ, text, name)
			}
		}
		if refused := c.against != ""; refused != (loaded == nil) {
			t.Errorf("%v: refused %v, want %v", environ, loaded == nil, refused)
		}
		if loaded == nil {
			continue
		}
		ledger := config.LedgerSQL
		if c.want == config.BackendRedis {
			ledger = config.LedgerRedis
		}
		_, redis := loaded.Redis()
		if loaded.Queue.Backend != c.want || loaded.Queue.Ledger != ledger || redis != (c.want == config.BackendRedis) {
			t.Errorf("%v: backend %q, ledger %q, a connection: %v; want %q and %q",
				environ, loaded.Queue.Backend, loaded.Queue.Ledger, redis, c.want, ledger)
		}
	}
}

func TestABadSwitchTakesNoPartInContradictions(t *testing.T) {
	_, report := config.Load(config.Source{Environ: []string{"WORKER_QUEUE_BACKEND=memory", "WORKER_QUEUE_ENABLED=flase", "HOME=/home/worker"}})
	var names []string
	for _, problem := range report.Problems {
		names = append(names, problem.Variable)
	}
	if diff := cmp.Diff([]string{"WORKER_QUEUE_ENABLED"}, names); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}
