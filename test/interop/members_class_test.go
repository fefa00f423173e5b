package interop_test

import (
	"strings"
	"testing"

	"github.com/taktwork/takt/test/interop/node"
)

// everyClass opens one object of each class of BullMQ that belongs to the queue mail.
func (l *lab) everyClass() map[string]*node.Object {
	l.t.Helper()
	return map[string]*node.Object{
		"Queue":        l.Queue("mail").Object,
		"Worker":       l.Manual("mail").Object,
		"QueueEvents":  l.New("QueueEvents", node.Opts{"autorun": false}, "mail"),
		"JobScheduler": l.New("JobScheduler", nil, "mail"),
	}
}

func text(t *testing.T, value node.Value) string {
	t.Helper()
	return node.Decode[string](t, value)
}

// Node's names of keys are those that Takt's producer and worker used.
func TestEveryClassOfNodeNamesTheKeysThatTaktUses(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		l.put("send", `{}`)
		desk := l.desk()
		desk.complete(desk.next(), `1`)
		l.put("send", `{}`)
		var wanted []string
		for _, name := range must(t, l.redis.Keys(t.Context(), key("*"))) {
			if kind := strings.TrimPrefix(name, key("")); kind != "1" && kind != "2" {
				wanted = append(wanted, kind)
			}
		}
		if len(wanted) < 5 {
			t.Fatalf("takt used the keys %v, want those of a queue that was worked", wanted)
		}
		if token := text(t, l.Queue("mail").Get("token")); len(token) != len("00000000-0000-0000-0000-000000000000") {
			t.Errorf("Queue: token = %s, want a UUID", token)
		}
		for class, object := range l.everyClass() {
			if name, qualified := text(t, object.Get("name")), text(t, object.Get("qualifiedName")); name != "mail" || qualified != "bull:mail" {
				t.Errorf("%s: name = %s, qualifiedName = %s, want mail and bull:mail", class, name, qualified)
			}
			if prefix := string(object.Get("opts.prefix")); prefix != `"bull"` && prefix != "null" {
				t.Errorf("%s: opts.prefix = %s, want bull, or none, which means it", class, prefix)
			}
			keys := node.Decode[map[string]string](t, object.Get("keys"))
			for _, kind := range wanted {
				if got := text(t, object.Call("toKey", kind)); got != key(kind) || keys[kind] != key(kind) {
					t.Errorf("%s: toKey(%s) = %s, keys has %q, want takt's %s", class, kind, got, keys[kind], key(kind))
				}
			}
		}
		if !l.v6() {
			if got := text(t, l.Flow().Call("queueKeys.toKey", "mail", "wait")); got != key("wait") {
				t.Errorf("FlowProducer: queueKeys.toKey(mail, wait) = %s, want takt's %s", got, key("wait"))
			}
		}
	})
}

// BullMQ declares these and never sets them.
func TestMembersThatNodeDeclaresButDoesNotHave(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		flow := l.Flow()
		for _, member := range []string{"toKey", "keys"} {
			if kind := string(flow.Get(member + ".constructor.name")); kind != "null" {
				t.Errorf("FlowProducer: %s is a %s, want none: then it should name takt's keys", member, kind)
			}
		}
	})
}

func TestEveryClassOfNodeUsesTheServerThatTaktUses(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.put("send", `{}`)
		classes := l.everyClass()
		classes["FlowProducer"] = l.Flow()
		for class, object := range classes {
			object.Call("waitUntilReady")
			if closing := string(object.Get("closing")); closing != "null" {
				t.Errorf("%s: closing = %s, want none of an open one", class, closing)
			}
			if l.v6() {
				l.wantBackend(class, object)
			} else {
				l.wantClient(class, object)
			}
			object.Call("close")
			if closing := string(object.Get("closing.constructor.name")); closing != `"Promise"` {
				t.Errorf("%s: closing is a %s, want a promise of a closed one", class, closing)
			}
		}
		l.work(work{handlers: handlers{"send": echo}})
		l.awaitCount("completed", 1)
	})
}

// wantBackend checks what reaches the datastore in 6.x.
func (l *lab) wantBackend(class string, object *node.Object) {
	l.t.Helper()
	want := `{"$class":"RedisQueueBackend"}`
	if got := string(object.Call("getBackend")); got != want {
		l.t.Errorf("%s: getBackend() = %s, want that of Redis", class, got)
	}
	if got := string(object.Get("backend")); got != want {
		l.t.Errorf("%s: backend = %s, want that of Redis", class, got)
	}
}

// wantClient checks what reaches the datastore in 5.x.
func (l *lab) wantClient(class string, object *node.Object) {
	l.t.Helper()
	client := object.KeepProperty("client")
	if got := text(l.t, client.Call("hget", key("1"), "name")); got != "send" {
		l.t.Errorf("%s: the client reads %q, want the name of takt's job", class, got)
	}
	if class == "FlowProducer" {
		return
	}
	wantKind, wantVersion := l.serverVersion()
	if version := text(l.t, object.Get("redisVersion")); version != wantVersion {
		l.t.Errorf("%s: redisVersion = %s, want %s", class, version, wantVersion)
	}
	if kind := text(l.t, object.Get("databaseType")); kind != wantKind {
		l.t.Errorf("%s: databaseType = %s, want %s", class, kind, wantKind)
	}
	if l.Version == node.V5Last {
		if got := string(object.Get("scripts")); got != `{"$class":"Scripts"}` {
			l.t.Errorf("%s: scripts = %s, want the object of that name", class, got)
		}
	}
}

// serverVersion is what the server says that it is, and its version: Valkey
// names the Redis that it is like as well.
func (l *lab) serverVersion() (kind, version string) {
	l.t.Helper()
	for line := range strings.Lines(must(l.t, l.redis.Info(l.t.Context(), "server"))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "valkey_version":
			return "valkey", value
		case "redis_version":
			kind, version = "redis", value
		}
	}
	return kind, version
}

func TestEveryClassOfNodeDisconnectsBesideTakt(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.work(work{handlers: handlers{"send": echo}})
		classes := l.everyClass()
		classes["FlowProducer"] = l.Flow()
		for class, object := range classes {
			object.Call("waitUntilReady")
			before := l.clients()
			closed := l.Listener()
			object.Call("on", "ioredis:close", closed.Arg())
			object.Call("disconnect")
			await(t, class+" to disconnect", func() bool { return l.clients() < before })
			if class != "JobScheduler" {
				closed.Await(t, 1, "heard")
			}
		}
		l.put("send", `{}`)
		l.awaitCount("completed", 1)
	})
}

// clients returns how many connections the server has.
func (l *lab) clients() int {
	l.t.Helper()
	return strings.Count(must(l.t, l.redis.ClientList(l.t.Context())), "\n")
}

// Each class tells its listeners of what Takt did, or of its own use of Takt's
// jobs: every time, once, or no more.
func TestListenersOfEveryClassHearOfTaktsJobs(t *testing.T) {
	forVersions(t, full, func(_ *testing.T, l *lab) {
		queue, events := l.Queue("mail").Object, l.Events("mail")
		worker := l.Worker("mail", node.Steps{})
		for _, heard := range []struct {
			object *node.Object
			event  string
			cause  func()
		}{
			{events, "completed", func() { l.putAndFinish() }},
			{worker.Object, "completed", func() { l.putAndFinish() }},
			{queue, "waiting", func() { queue.Call("add", "send", 1) }},
			{l.Flow(), "error", nil},
			{l.New("JobScheduler", nil, "mail"), "error", nil},
		} {
			l.wantHeard(heard.object, heard.event, heard.cause)
		}
	})
}

// putAndFinish has a job of Takt's done by whoever works the queue.
func (l *lab) putAndFinish() { l.awaitIn("completed", l.put("send", `{}`)) }

// wantHeard checks on, once, off and emit. Without a cause the event is
// emitted by hand.
func (l *lab) wantHeard(object *node.Object, event string, cause func()) {
	l.t.Helper()
	every, once, gone, last := l.Listener(), l.Listener(), l.Listener(), l.Listener()
	object.Call("on", event, every.Arg())
	object.Call("once", event, once.Arg())
	object.Call("on", event, gone.Arg())
	object.Call("off", event, gone.Arg())
	object.Call("on", "error", last.Arg())
	if cause == nil {
		cause = func() { object.Call("emit", event, node.Failure("Error", "by hand")) }
	}
	for n := range 2 {
		cause()
		every.Await(l.t, n+1, "heard")
	}
	object.Call("emit", "error", node.Failure("Error", "by hand"))
	last.Await(l.t, 1, "heard")
	if once.Calls() != 1 || gone.Calls() != 0 {
		l.t.Errorf("%s: once was called %d times and off %d times, want once and never", object.Name, once.Calls(), gone.Calls())
	}
}

// A span that nobody records still runs what it spans.
func TestATraceWithoutTelemetryRunsItsCall(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.put("send", `{}`)
		for class, object := range l.everyClass() {
			spanned := l.Listener()
			object.Call("trace", 0, "look", "mail", spanned.Arg())
			spanned.Await(t, 1, "heard")
			if spanned.Calls() != 1 {
				t.Errorf("%s: the call ran %d times, want once", class, spanned.Calls())
			}
		}
	})
}
