package torture_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// outage is a way for Redis to be of no use for a while.
type outage struct {
	// lasts is how long the outage is left alone. Some end by themselves.
	lasts time.Duration
	// begin causes it, heal ends it; nil heals by itself. The error is that
	// of the commands.
	begin, heal func(*scene) error
	// noticed is after how long health must say that Redis does not answer;
	// zero if it does answer all the while, as far as one can see.
	noticed time.Duration
}

// Times after which health must have noticed an outage: soon when calls fail;
// when nothing is heard at all, a second after a call, and a worker that has
// nothing to do makes one every two seconds.
const (
	noticedRefused = time.Second
	noticedSilent  = 3500 * time.Millisecond
)

// inTurn returns a step of several commands.
func inTurn(commands ...[]any) func(*scene) error {
	return func(s *scene) error {
		for _, command := range commands {
			if err := s.admin.Do(context.Background(), command...).Err(); err != nil {
				return fmt.Errorf("%v: %w", command, err)
			}
		}
		return nil
	}
}

// again returns a step that repeats a command while the outage lasts.
func again(command ...any) func(*scene) error {
	return func(s *scene) error {
		for range int(s.outage.lasts / (50 * time.Millisecond)) {
			if err := s.admin.Do(context.Background(), command...).Err(); err != nil {
				return fmt.Errorf("%v: %w", command, err)
			}
			rest(50 * time.Millisecond)
		}
		return nil
	}
}

// blocking returns a step that sends a command and does not wait for its
// reply. It ends the outage.
func blocking(command ...any) (begin, heal func(*scene) error) {
	replied := make(chan error, 1)
	begin = func(s *scene) error {
		go func() { replied <- s.admin.Do(context.Background(), command...).Err() }()
		return nil
	}
	return begin, func(*scene) error { return <-replied }
}

// through returns a step that sets the rule of the proxy.
func through(rule proxy.Rule) func(*scene) error {
	return func(s *scene) error {
		s.proxy.Set(rule)
		return nil
	}
}

// server returns a step that does something to the server's process.
func server(act func(*redistest.Server)) func(*scene) error {
	return func(s *scene) error {
		act(s.server)
		return nil
	}
}

func outages() map[string]outage {
	short, long := sized(1500*time.Millisecond, 8*time.Second), sized(noticedSilent+500*time.Millisecond, 10*time.Second)
	all := map[string]outage{
		"script flush":   {begin: again("script", "flush")},
		"client kill":    {begin: again("client", "kill", "type", "normal", "skipme", "yes")},
		"client pause":   {begin: inTurn([]any{"client", "pause", 2000, "all"}), heal: inTurn([]any{"ping"})},
		"restart":        {lasts: short, begin: server((*redistest.Server).Kill), heal: server((*redistest.Server).Restart), noticed: noticedRefused},
		"frozen":         {lasts: long, begin: server((*redistest.Server).Pause), heal: server((*redistest.Server).Continue), noticed: noticedSilent},
		"half open":      {lasts: long, begin: through(proxy.All(proxy.Verdict{Kind: proxy.Hold})), heal: through(nil), noticed: noticedSilent},
		"connection cut": {lasts: short, begin: through(proxy.All(proxy.Verdict{Kind: proxy.Reset})), heal: through(nil), noticed: noticedRefused},
		"readonly":       {begin: inTurn([]any{"replicaof", "127.0.0.1", 1}), heal: inTurn([]any{"replicaof", "no", "one"}), noticed: noticedRefused},
		// A worker that has nothing to write notices it with the next scan.
		"out of memory": {lasts: long, begin: inTurn([]any{"config", "set", "maxmemory", "1mb"}), heal: inTurn([]any{"config", "set", "maxmemory", 0}), noticed: noticedSilent},
		"no replicas":   {begin: inTurn([]any{"config", "set", "min-replicas-to-write", 1}), heal: inTurn([]any{"config", "set", "min-replicas-to-write", 0}), noticed: noticedRefused},
		"wrong password": {
			begin:   inTurn([]any{"acl", "setuser", workerUser, "resetpass", ">another"}, []any{"client", "kill", "user", workerUser}),
			heal:    inTurn([]any{"acl", "setuser", workerUser, "resetpass", ">" + workerPassword}),
			noticed: noticedRefused,
		},
		"no permission": {
			begin:   inTurn([]any{"acl", "setuser", workerUser, "-@all"}),
			heal:    inTurn([]any{"acl", "setuser", workerUser, "+@all"}),
			noticed: noticedRefused,
		},
		"too many clients": {
			begin:   inTurn([]any{"config", "set", "maxclients", 1}, []any{"client", "kill", "type", "normal", "skipme", "yes"}),
			heal:    inTurn([]any{"config", "set", "maxclients", 1000}),
			noticed: noticedRefused,
		},
	}
	sleeping := outage{lasts: short}
	sleeping.begin, sleeping.heal = blocking("debug", "sleep", 3)
	all["debug sleep"] = sleeping
	loading := outage{noticed: noticedRefused}
	loading.begin, loading.heal = blocking("debug", "reload")
	all["loading"] = loading
	busy := outage{noticed: noticedRefused}
	var over func(*scene) error
	busy.begin, over = blocking("eval", "while true do end", 0)
	busy.heal = func(s *scene) error {
		err := s.server.Client().Do(context.Background(), "script", "kill").Err()
		_ = over(s) // the script was killed, and says so
		return err
	}
	all["busy"] = busy
	for name, o := range all {
		if o.lasts == 0 {
			o.lasts = short
			all[name] = o
		}
	}
	return all
}

// The ACL user of the worker and the producer. The test itself is the default user.
const (
	workerUser     = "worker"
	workerPassword = "canary-5e1f"
)

// scene is what an outage happens to.
type scene struct {
	t        *testing.T
	outage   outage
	desk     desk
	server   *redistest.Server
	admin    *redis.Client
	proxy    *proxy.Proxy
	worker   *process
	producer *process

	samples []sample
	// begun and healed are when the outage began and was ended, back is when
	// work went on.
	begun, healed, back int64
}

// newScene starts a server, a worker of the role and a producer that goes on
// for longer than the outage lasts.
func newScene(t *testing.T, o outage, r role) *scene {
	t.Helper()
	s := &scene{t: t, outage: o, desk: newDesk(t), server: redistest.Start(t,
		"--appendonly", "yes", "--appendfsync", "always", "--lua-time-limit", "100",
		"--key-load-delay", "0", "--loading-process-events-interval-bytes", "1024")}
	s.desk.watchServer(t, s.server)
	s.admin = redis.NewClient(&redis.Options{
		Addr: s.server.Addr, MaxRetries: -1, DisableIdentity: true, PoolSize: 1, ReadTimeout: time.Minute,
	})
	t.Cleanup(func() { _ = s.admin.Close() })
	s.step(inTurn(
		// Something to load, and more than a megabyte.
		[]any{"debug", "populate", 3000, "filler", 500},
		[]any{"config", "set", "key-load-delay", sized(1500, 3000)},
	))
	s.permit()
	s.proxy = proxy.Start(t, s.server.Addr)
	p := part{Role: worker, Name: "w1", Addr: s.proxy.Addr, User: workerUser, Password: workerPassword, File: s.desk.effects(), Concurrency: 10}
	if r == program {
		p = s.desk.programPart(t, "w1", workerUser+":"+workerPassword+"@"+s.proxy.Addr, "WORKER_HEARTBEAT_ENABLED=false")
	}
	s.worker = s.desk.launch(t, p)
	if r == program {
		await(t, "the program to work", patience, func() bool { return strings.Contains(s.worker.text(), "worker ready") })
	}
	// Some outages stop no job: the producer must not be done before they end,
	// however long the first jobs take on a busy machine.
	const pace, spare = 50 * time.Millisecond, 4 * time.Second
	s.producer = s.desk.launch(t, part{
		Role: producer, Name: "p1", Addr: s.proxy.Addr, User: workerUser, Password: workerPassword,
		File: s.desk.acceptedBy("p1"), Batch: 5, Every: pace, Most: 30 * time.Millisecond,
		Count: 5 * int((o.lasts+spare)/pace),
	})
	return s
}

// permit makes the worker's user; a server that started anew has forgotten it.
func (s *scene) permit() {
	s.t.Helper()
	s.step(inTurn([]any{"acl", "setuser", workerUser, "on", ">" + workerPassword, "~*", "&*", "+@all"}))
}

func (s *scene) step(act func(*scene) error) {
	s.t.Helper()
	if err := act(s); err != nil {
		s.t.Fatal(err)
	}
}
