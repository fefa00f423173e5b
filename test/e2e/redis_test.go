package e2e_test

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taktwork/takt/test/redistest"
)

// onRedis is a host whose workers have queues and ledger on the server.
func onRedis(t *testing.T, server *redistest.Server) *host {
	t.Helper()
	return newHost(t, "REDIS_ENABLED=true", "REDIS_URL="+server.URL(0))
}

func TestEnqueueReachesRedisWithoutAWorker(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	h := onRedis(t, server)
	h.ask(t, slowBin, "enqueue", "slow", "slow.quick", "--id", "first", "--data", `{"a":1}`).want(t, 0, "slow/slow.quick: accepted, id first")
	h.ask(t, slowBin, "enqueue", "slow", "slow.quick", "--id", "first").want(t, 0, "duplicate id")
	h.ask(t, slowBin, "enqueue", "elsewhere", "any.thing", "--delay", "1d", "--json").want(t, 0, `"status": "accepted"`)
	h.ask(t, slowBin, "enqueue", "else:where", "any.thing").want(t, 65, "queue name")
	lines := strings.Repeat("{\"queue\":\"slow\",\"name\":\"slow.quick\"}\n", 250) + "{\"queue\":\"slow\",\"name\":\"slow.quick\",\"id\":\"last\"}\n"
	got := h.askWith(t, lines, slowBin, "enqueue", "-")
	got.want(t, 0, "id last")
	if accepted := strings.Count(got.stdout, "accepted"); accepted != 251 {
		t.Errorf("%d jobs accepted, want 251", accepted)
	}
	if got := server.Client().LLen(t.Context(), "bull:slow:wait").Val(); got != 252 {
		t.Errorf("%d jobs wait in Redis, want 252", got)
	}
	if data := server.Client().HGet(t.Context(), "bull:slow:first", "data").Val(); data != `{"a":1}` {
		t.Errorf("the data in Redis is %q, want what was given", data)
	}
	r := h.start(t, slowBin, "run")
	r.ready(t)
	r.waitFor(t, `"job_id":"last"`)
	h.ask(t, slowBin, "enqueue", "slow", "slow.quick", "--id", "later", "--instance", "blue").want(t, 0, "accepted", "no worker is asked")
	r.waitFor(t, `"job_id":"later"`)
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)
}

func TestJobsInRedisOutliveTheWorker(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	h := onRedis(t, server)
	h.env = append(h.env, "WORKER_SHUTDOWN_TIMEOUT=2s")
	r := h.start(t, slowBin, "run")
	r.ready(t)
	h.ask(t, slowBin, "enqueue", "slow", "slow.wait", "--id", "long").want(t, 0)
	r.waitFor(t, "slow job began")
	r.signal(t, syscall.SIGTERM)
	<-r.done
	if strings.Contains(r.stderr.String(), "lost with the memory") {
		t.Error("jobs in Redis are said to be lost")
	}
	again := h.start(t, slowBin, "run")
	again.waitFor(t, "slow job began")
}

func TestRunNamesRedisAndTheFleet(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "c4n4ry", "--maxmemory-policy", "allkeys-lru")
	h := newHost(t, "REDIS_ENABLED=true", "REDIS_URL=redis://:c4n4ry@"+server.Addr+"/3", "WORKER_QUEUE_PREFIX={shop}")
	r := h.start(t, workerBin, "run", "--log", "text")
	r.waitFor(t, "Worker startup event processed at ")
	r.signal(t, os.Interrupt)
	r.exit(t, 0)
	output := r.stderr.String()
	for _, text := range []string{
		"redis: jobs are shared with every program that knows the prefix {shop}", "scope fleet", "  redis://" + server.Addr + "/3\n",
		"ledger_scope=fleet", "redis may drop jobs when its memory is full maxmemory_policy=allkeys-lru",
	} {
		if !strings.Contains(output, text) {
			t.Errorf("no %q in the output", text)
		}
	}
	if strings.Contains(output, "c4n4ry") {
		t.Error("the password is printed")
	}
}

func TestAStartWaitsForRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	h := onRedis(t, server)
	r := h.start(t, slowBin, "run")
	r.waitFor(t, "redis does not answer")
	h.ask(t, slowBin, "health", "startup").want(t, 69, "not startup", "redis has not answered")
	h.ask(t, slowBin, "health", "live").want(t, 0)
	server.Restart()
	r.waitFor(t, "redis answers again")
	r.ready(t)
	h.ask(t, slowBin, "health").want(t, 0, "ok: running")
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)
}

func TestAStartThatRedisNeverAnswersExits69(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "right")
	for about, c := range map[string]struct{ url, want string }{
		"away":           {"redis://:c4n4ry@127.0.0.1:1", "connection refused"},
		"wrong password": {"redis://:c4n4ry@" + server.Addr, "WRONGPASS"},
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, "REDIS_ENABLED=true", "REDIS_URL="+c.url, "WORKER_START_TIMEOUT=2s")
			began := time.Now()
			r := h.start(t, slowBin, "run")
			r.exit(t, 69)
			output := r.stderr.String()
			if !strings.Contains(output, "WORKER_START_TIMEOUT") || !strings.Contains(output, c.want) || strings.Contains(output, "c4n4ry") {
				t.Errorf("stderr %s, want WORKER_START_TIMEOUT and %s, without the password", output, c.want)
			}
			// One line a second for one cause, and that for two seconds.
			if lines, most := strings.Count(output, "redis does not answer"), int(time.Since(began).Seconds())+2; lines > most {
				t.Errorf("%d lines about it, want at most %d", lines, most)
			}
			if left := sockets(t, h); len(left) > 0 {
				t.Errorf("left in the state directory: %q", left)
			}
			h.ask(t, slowBin, "enqueue", "slow", "slow.quick").want(t, 69, c.want)
		})
	}
}

func TestSigtermEndsTheWaitForRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	h := onRedis(t, server)
	r := h.start(t, slowBin, "run")
	r.waitFor(t, "redis does not answer")
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)
}

func TestHealthTellsTheTruthWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	for about, away := range map[string]struct{ leave, back func(*redistest.Server) }{
		"killed": {(*redistest.Server).Kill, (*redistest.Server).Restart},
		"silent": {(*redistest.Server).Pause, (*redistest.Server).Continue},
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "--appendonly", "yes")
			h := onRedis(t, server)
			r := h.start(t, slowBin, "run")
			r.ready(t)
			h.ask(t, slowBin, "health").want(t, 0, "ok: running")
			away.leave(server)
			h.waitForHealth(t, 69, "redis has not answered for")
			h.ask(t, slowBin, "health", "live").want(t, 0)
			away.back(server)
			h.waitForHealth(t, 0, "ok: running")
			h.ask(t, slowBin, "enqueue", "slow", "slow.quick", "--id", "after-"+about).want(t, 0, "accepted")
			r.waitFor(t, `"job_id":"after-`+about+`"`)
			r.signal(t, syscall.SIGTERM)
			r.exit(t, 0)
		})
	}
}

// waitForHealth asks for the health until the command exits with the code and
// says the text.
func (h *host) waitForHealth(t *testing.T, code int, text string) {
	t.Helper()
	var got answer
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if got = h.ask(t, slowBin, "health"); got.code == code && strings.Contains(got.stdout+got.stderr, text) {
			return
		}
	}
	t.Fatalf("health never exits with %d and %q; at last with %d: %s%s", code, text, got.code, got.stdout, got.stderr)
}

func TestTLSToRedisAsTheVariablesSay(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	server := redistest.StartTLS(t, authority, []string{"redis.internal"}, "--tls-auth-clients", "yes")
	mine := authority.Issue("mine", redistest.Subject{})
	h := newHost(t, "REDIS_ENABLED=true", "REDIS_URL=rediss://"+server.Addr, "REDIS_CA_CERT="+authority.CertFile,
		"REDIS_CERT="+mine.CertFile, "REDIS_KEY="+mine.KeyFile, "REDIS_SERVER_NAME=redis.internal", "REDIS_REQUIRE_TLS=true")
	h.ask(t, slowBin, "enqueue", "slow", "slow.quick", "--id", "secure").want(t, 0, "accepted")
	r := h.start(t, slowBin, "run")
	r.ready(t)
	r.waitFor(t, `"job_id":"secure"`)
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)
	h.env = append(h.env[:len(h.env)-2], "REDIS_SERVER_NAME=other.internal", "WORKER_START_TIMEOUT=1s")
	other := h.start(t, slowBin, "run")
	other.exit(t, 69)
	other.waitFor(t, "certificate is valid for redis.internal, not other.internal")
}

func TestTwoWorkersOnOneRedisShareTheTicks(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	h := newHost(t, beating("* * * * * *", "REDIS_ENABLED=true", "REDIS_URL="+server.URL(0))...)
	workers := []*running{
		h.start(t, workerBin, "run", "--log", "json"),
		h.start(t, workerBin, "run", "--log", "json"),
	}
	client := server.Client()
	const tick = "tick.worker.heartbeat.scheduler."
	worked := func() int {
		ids := client.ZRange(t.Context(), "bull:worker-default:completed", 0, -1).Val()
		return len(slices.DeleteFunc(ids, func(id string) bool { return !strings.HasPrefix(id, tick) }))
	}
	deadline := time.Now().Add(patience)
	for worked() < 3 && time.Now().Before(deadline) {
		<-time.After(20 * time.Millisecond)
	}
	for _, r := range workers {
		r.signal(t, syscall.SIGTERM)
	}
	var output string
	for _, r := range workers {
		r.exit(t, 0)
		output += r.stderr.String()
	}
	if strings.Contains(output, "each fires every tick") {
		t.Error("a worker warns of another that shares its ledger")
	}
	// A tick that came as they stopped may not be worked yet.
	jobs := 0
	for keys := client.ScanType(t.Context(), 0, "bull:worker-default:"+tick+"*", 1000, "hash").Iterator(); keys.Next(t.Context()); {
		jobs++
	}
	if queued := strings.Count(output, `"msg":"run queued its job","job":"worker.heartbeat.scheduler"`); worked() < 3 || queued != jobs {
		t.Errorf("%d ticks were queued, there are %d jobs of them, %d worked; want as many, and at least 3 worked", queued, jobs, worked())
	}
}
