package redisqueue_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// survey asks a server of the settings.
func survey(t *testing.T, server *redistest.Server, change func(*redisqueue.Config)) redisqueue.Survey {
	t.Helper()
	told, err := open(t, server, change).Survey(t.Context())
	if err != nil {
		t.Fatalf("Survey = %v, want no error", err)
	}
	return told
}

func same(*redisqueue.Config) {}

func TestASurveyTellsHowTheServerIsSet(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
	told := survey(t, server, same)
	if told.Version == "" || told.TooOld || told.Replica || told.Loading || told.RoundTrip <= 0 {
		t.Errorf("survey %+v, want a primary that is new enough", told)
	}
	if told.Policy != "allkeys-lru" || told.MaxMemory != 64<<20 || told.UsedMemory <= 0 {
		t.Errorf("survey %+v, want the policy and the memory of the server", told)
	}
	if told.AppendOnly || told.Snapshots == nil || *told.Snapshots != "" {
		t.Errorf("survey %+v, want a server that keeps nothing", told)
	}
	if told.ClockAhead == nil || told.ClockAhead.Abs() > time.Minute {
		t.Errorf("the clock is ahead by %v, want that of this host", told.ClockAhead)
	}
	if !told.Rights.Complete() || len(told.Unseen) > 0 {
		t.Errorf("survey %+v, want nothing refused", told)
	}
	kept := survey(t, redistest.Start(t, "--appendonly", "yes"), same)
	saved := survey(t, redistest.Start(t, "--save", "900 1"), same)
	if !kept.AppendOnly || saved.AppendOnly || saved.Snapshots == nil || *saved.Snapshots != "900 1" {
		t.Errorf("surveys %+v and %+v, want one of each way to keep data", kept, saved)
	}
}

func TestASurveyTakesTheClockOfTheServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	slow := func() time.Time { return time.Now().Add(-time.Hour) }
	told := survey(t, server, func(c *redisqueue.Config) { c.Now = slow })
	if told.ClockAhead == nil || (*told.ClockAhead-time.Hour).Abs() > time.Minute {
		t.Errorf("the clock is ahead by %v, want an hour", told.ClockAhead)
	}
}

func TestASurveyMeetsReplicas(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	host, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	replica.AwaitReplica()
	if told := survey(t, replica, same); !told.Replica {
		t.Errorf("survey %+v, want a replica", told)
	}
}

// It is the primary that is asked, or the node with the keys of the prefix.
func TestASurveyFindsTheServer(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	backend := openCluster(t, cluster, same)
	if told, err := backend.Survey(t.Context()); err != nil || told.Replica || told.Version == "" || !told.Rights.Complete() {
		t.Errorf("Survey of a cluster = %+v, %v, want its node", told, err)
	}
	alone := open(t, cluster.Primaries[0], func(c *redisqueue.Config) { c.Prefix = "bull" })
	if _, err := alone.Survey(t.Context()); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("Survey of a node taken for a server = %v, want %v", err, domain.ErrInvalid)
	}
}

// A worker of the rights file lacks nothing, and a survey offends nobody.
func TestASurveyOfTheRightsFileLacksNothing(t *testing.T) {
	t.Parallel()
	server, connection := startGuarded(t, "bull")
	wantNoRefusals(t, server)
	told := survey(t, server, func(c *redisqueue.Config) { c.Connection = connection })
	if told.Rights.Known && !told.Rights.Complete() {
		t.Errorf("rights %+v, want none lacking", told.Rights)
	}
	if told.Rights.Known && !slices.Equal(told.Unseen, []string{"CONFIG GET"}) {
		t.Errorf("unseen is %v, want CONFIG GET alone", told.Unseen)
	}
}

func TestASurveyTellsTheRightsThatAreLacking(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, c := range map[string]struct {
		rights         string
		commands, keys []string
		unseen         string
	}{
		"a command":           {"~bull:* ~takt:{bull}:* +@all -xtrim -hset -config", []string{"hset", "xtrim"}, nil, "CONFIG GET"},
		"the queues":          {"~takt:{bull}:* +@all", nil, []string{"bull:*"}, ""},
		"Takt's keys":         {"~bull:* +@all", nil, []string{"takt:{bull}:*"}, ""},
		"all keys":            {"+@all -evalsha", []string{"evalsha"}, []string{"bull:*", "takt:{bull}:*"}, ""},
		"what it is asked by": {"~* +@all -info -time", []string{"info", "time"}, nil, "INFO TIME"},
		"scripts":             {"~* +@all -eval", []string{"eval"}, nil, ""},
		"nearly everything":   {"~* -@all +hello +auth", []string{"eval"}, nil, "PING INFO TIME CONFIG GET"},
	} {
		words := []any{"ACL", "SETUSER", "u", "reset", "on", ">" + canary}
		for word := range strings.FieldsSeq(c.rights) {
			words = append(words, word)
		}
		if err := server.Client().Do(t.Context(), words...).Err(); err != nil {
			t.Fatal(err)
		}
		told := survey(t, server, func(conf *redisqueue.Config) {
			conf.Connection.Username, conf.Connection.Password = "u", domain.NewSecret(canary)
		})
		if name == "nearly everything" || told.Rights.Known {
			if !slices.Equal(told.Rights.Commands, c.commands) || !slices.Equal(told.Rights.Keys, c.keys) {
				t.Errorf("%s: rights %+v, want %v of %v", name, told.Rights, c.commands, c.keys)
			}
		}
		if got := strings.Join(told.Unseen, " "); got != c.unseen {
			t.Errorf("%s: unseen is %q, want %q", name, got, c.unseen)
		}
	}
}

func TestASurveyWaitsForNobody(t *testing.T) {
	t.Parallel()
	guarded := redistest.Start(t, "--requirepass", "other")
	paused := redistest.Start(t)
	paused.Pause()
	defer paused.Continue()
	gone := redistest.Start(t)
	gone.Kill()
	for name, server := range map[string]*redistest.Server{"another password": guarded, "silent": paused, "gone": gone} {
		backend := open(t, server, func(c *redisqueue.Config) { c.Connection.Password = domain.NewSecret(canary) })
		ctx, cancel := context.WithTimeout(t.Context(), patienceOf(server == paused))
		_, err := backend.Survey(ctx)
		cancel()
		if !errors.Is(err, ports.ErrUnavailable) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: Survey = %v, want %v", name, err, ports.ErrUnavailable)
		}
		if refused := server == guarded; errors.Is(err, redisqueue.ErrNoAccess) != refused {
			t.Errorf("%s: Survey = %v, want %v: %t", name, err, redisqueue.ErrNoAccess, refused)
		}
	}
}

// patienceOf is short with a server that nobody hopes to hear from.
func patienceOf(silent bool) time.Duration {
	if silent {
		return 200 * time.Millisecond
	}
	return time.Minute
}
