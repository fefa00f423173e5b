package interop_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

// handle returns Takt's handle on the queue mail.
func (l *lab) handle() *redisqueue.Queue {
	l.t.Helper()
	queue, err := l.producer().Queue("mail")
	if err != nil {
		l.t.Fatal(err)
	}
	return queue
}

// read returns the events that Takt reads, from the oldest to the one of the
// id.
func (l *lab) read(to redisqueue.EventID) []redisqueue.Event {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	var events []redisqueue.Event
	for event, err := range l.handle().Events(ctx, redisqueue.EventsFromStart) {
		if err != nil {
			l.t.Fatalf("Events = %v after %d events, want one of the id %s", err, len(events), to)
		}
		if events = append(events, event); event.ID == to {
			break
		}
	}
	return events
}

// told is an event as both sides tell it: its name, its id and the job's.
type told struct{ name, id, job string }

// toldByNode returns what a QueueEvents has emitted, without the forms of an
// event that are for one job.
func toldByNode(t *testing.T, events *node.Object) []told {
	t.Helper()
	var all []told
	for _, event := range events.All() {
		if strings.Contains(event.Name, ":") || event.Name == "error" || len(event.Args) == 0 {
			continue
		}
		one := told{name: event.Name, id: node.Decode[string](t, event.Args[len(event.Args)-1])}
		if len(event.Args) > 1 {
			one.job = event.Field(t, "jobId")
		}
		all = append(all, one)
	}
	return all
}

func toldByTakt(events []redisqueue.Event) []told {
	var all []told
	for _, event := range events {
		all = append(all, told{name: event.Name, id: string(event.ID), job: event.Fields["jobId"]})
	}
	return all
}

// wantBothTell checks that Takt and Node read the same of the queue's stream,
// and that Takt knows all of it but the names; it returns what it was.
func (l *lab) wantBothTell(listener *node.Object, strangers ...string) []redisqueue.Event {
	l.t.Helper()
	last, err := l.handle().LastEvent(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	await(l.t, "node to read "+string(last), func() bool {
		all := toldByNode(l.t, listener)
		return len(all) > 0 && all[len(all)-1].id == string(last)
	})
	events := l.read(last)
	if got, want := toldByTakt(events), toldByNode(l.t, listener); !slices.Equal(got, want) {
		l.t.Errorf("takt reads\n\t%v\nnode reads\n\t%v", got, want)
	}
	for _, event := range events {
		if _, custom := event.Detail.(redisqueue.EventCustom); custom != slices.Contains(strangers, event.Name) || event.Damage != nil {
			l.t.Errorf("event %s is a %T, damage %v", event.Name, event.Detail, event.Damage)
		}
	}
	return events
}

// wantNames checks that events of all the names are among those.
func wantNames(t *testing.T, events []redisqueue.Event, names string) {
	t.Helper()
	for name := range strings.FieldsSeq(names) {
		if !slices.ContainsFunc(events, func(e redisqueue.Event) bool { return e.Name == name }) {
			t.Errorf("no event %s was read", name)
		}
	}
}

// firstOf returns the first event of the type.
func firstOf[T redisqueue.EventDetail](t *testing.T, events []redisqueue.Event) T {
	t.Helper()
	for _, event := range events {
		if detail, is := event.Detail.(T); is {
			return detail
		}
	}
	t.Errorf("no event of the type %s", reflect.TypeFor[T]())
	var none T
	return none
}

// TestEvents_TaktReadsWhatNodeWrites has Node do all that leaves an event.
func TestEvents_TaktReadsWhatNodeWrites(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, listener := l.Queue("mail"), l.Events("mail")
		manual := l.Manual("mail", node.Opts{"lockDuration": 100})
		queue.Add("good", node.Opts{"stalls": true})
		manual.Next("t")

		due := time.Now().Add(time.Hour)
		late := queue.Add("good", 1, node.Opts{"delay": time.Hour.Milliseconds()})
		queue.Add("good", 1, node.Opts{"jobId": "own"})
		queue.Add("good", 1, node.Opts{"jobId": "own"})
		queue.Add("good", 1, node.Opts{"deduplication": node.Opts{"id": "k"}})
		queue.Add("good", 1, node.Opts{"deduplication": node.Opts{"id": "k"}})
		queue.Call("remove", queue.Add("good", 1).ID)
		bad := queue.Add("bad", 1, node.Opts{"attempts": 2})
		l.Flow().Call("add", node.Opts{
			"name": "good", "queueName": "mail", "children": []any{node.Opts{"name": "good", "queueName": "mail"}},
		})
		queue.Call("pause")
		queue.Call("resume")
		l.Worker("mail", node.Steps{
			"good": {{"do": "progress", "value": node.Opts{"p": 1}}, node.Return(node.Opts{"ok": true})},
			"bad":  {node.Fail("no \"luck\"")},
		}, node.Opts{"stalledInterval": 200, "concurrency": 3})
		await(t, "the jobs to be finished", func() bool { return len(l.stream("completed", "failed")) == 6 })
		queue.OnJob(late.ID, "promote")
		await(t, "the queue to be drained", func() bool { return len(l.stream("drained")) > 0 })
		queue.OnJob(bad.ID, "retry")
		await(t, "the other failure", func() bool { return len(l.stream("failed")) == 2 })
		queue.Call("clean", 0, 0, "completed")

		events := l.wantBothTell(listener)
		wantNames(t, events, `added waiting delayed active progress completed failed retries-exhausted stalled
			waiting-children drained duplicated deduplicated removed cleaned paused resumed`)
		if !l.v6() {
			wantNames(t, events, "debounced")
		}
		if got := firstOf[redisqueue.EventCompleted](t, events); string(got.Result) != `{"ok":true}` || got.Prev != "active" {
			t.Errorf("completed = %+v, want the result", got)
		}
		if got := firstOf[redisqueue.EventFailed](t, events); string(got.Job) != bad.ID || got.Reason != `no "luck"` {
			t.Errorf("failed = %+v, want job %s and its reason", got, bad.ID)
		}
		if got := firstOf[redisqueue.EventProgress](t, events); string(got.Progress) != `{"p":1}` {
			t.Errorf("progress = %+v, want what the handler wrote", got)
		}
		if got := firstOf[redisqueue.EventDelayed](t, events); string(got.Job) != late.ID || got.Due.Sub(due).Abs() > patience {
			t.Errorf("delayed = %+v, want job %s about %s", got, late.ID, due)
		}
		if got := firstOf[redisqueue.EventRetriesExhausted](t, events); got.AttemptsMade != 2 {
			t.Errorf("retries-exhausted = %+v, want two attempts", got)
		}
		if got := firstOf[redisqueue.EventDeduplicated](t, events); got.Key != "k" || got.Job == got.Dropped {
			t.Errorf("deduplicated = %+v, want the key and two jobs", got)
		}
		if got := firstOf[redisqueue.EventCleaned](t, events); got.Count != 6 {
			t.Errorf("cleaned = %+v, want six jobs", got)
		}
	})
}

// TestEvents_NodeReadsWhatTaktWrites has Takt do it.
func TestEvents_NodeReadsWhatTaktWrites(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		listener := l.Events("mail")
		l.put("good", `1`)
		l.put("good", `1`, domain.JobOptions{ID: "own"})
		l.putAll(job("good", `1`, domain.JobOptions{ID: "own"}))
		l.put("good", `1`, domain.JobOptions{Priority: 3})
		late := l.put("good", `1`, domain.JobOptions{Delay: time.Hour})
		l.put("good", `1`, domain.JobOptions{Deduplication: domain.Deduplication{Key: "k"}})
		l.putAll(job("good", `1`, domain.JobOptions{Deduplication: domain.Deduplication{Key: "k"}}))
		l.put("bad", `1`, domain.JobOptions{Attempts: 2})
		if _, err := l.producer().AddFlow(t.Context(), redisqueue.FlowNode{
			Queue: "mail", Name: "good", Children: []redisqueue.FlowNode{{Queue: "mail", Name: "good"}},
		}); err != nil {
			t.Fatal(err)
		}
		l.apply(domain.Operation{Kind: domain.OpPause})
		l.apply(domain.Operation{Kind: domain.OpResume})
		l.apply(domain.Operation{Kind: domain.OpPromote, IDs: []domain.JobID{domain.JobID(late)}})
		l.work(work{handlers: handlers{"good": returns(`{"ok":true}`), "bad": fails(errBusy)}})
		await(t, "the jobs to be finished", func() bool { return len(l.stream("completed", "failed")) == 8 })
		l.apply(domain.Operation{Kind: domain.OpRemove, IDs: []domain.JobID{"own"}})
		l.apply(domain.Operation{Kind: domain.OpClean, State: domain.StateFailed})
		wantNames(t, l.wantBothTell(listener), `added waiting delayed active completed failed retries-exhausted drained
			duplicated deduplicated removed cleaned paused resumed waiting-children`)
	})
}

// apply carries the operation out on the queue mail.
func (l *lab) apply(op domain.Operation) {
	l.t.Helper()
	if _, err := l.producer().Apply(l.t.Context(), "mail", op); err != nil {
		l.t.Fatalf("%s = %v, want no error", op.Kind, err)
	}
}

func TestEvents_CustomOnesReachBothSides(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		listener, queue := l.Events("mail"), l.handle()
		id, err := queue.PublishEvent(t.Context(), "greeting", map[string]string{"text": "hé \"you\"", "n": "1"})
		if err != nil {
			t.Fatal(err)
		}
		l.New("QueueEventsProducer", nil, "mail").Call("publishEvent", node.Opts{"eventName": "answer", "text": "hé", "n": 2})
		events := l.wantBothTell(listener, "greeting", "answer")
		greeting := listener.All("greeting")[0]
		if text, n := greeting.Field(t, "text"), greeting.Field(t, "n"); text != "hé \"you\"" || n != "1" || events[0].ID != id {
			t.Errorf("node reads %s, want the fields of event %s", greeting.Args, id)
		}
		if answer := events[1]; answer.Fields["text"] != "hé" || answer.Fields["n"] != "2" {
			t.Errorf("takt reads %v, want node's fields", answer.Fields)
		}
	})
}

// TestEvents_ThatStopNodeDoNotStopTakt writes what is not JSON where it should
// be (trap T6).
func TestEvents_ThatStopNodeDoNotStopTakt(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		listener := l.Events("mail")
		add := func(fields ...any) {
			must(t, l.redis.Do(t.Context(), append([]any{"XADD", key("events"), "*", "event"}, fields...)...))
		}
		add("completed", "jobId", "1", "returnvalue", "NaN")
		listener.Await(t, 1, "error")
		add("completed", "jobId", "2", "returnvalue", "2")
		last, err := l.handle().LastEvent(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		events := l.read(last)
		if len(events) != 2 || events[0].Damage == nil || string(firstOf[redisqueue.EventCompleted](t, events[1:]).Result) != "2" {
			t.Errorf("takt reads %+v, want a damaged event and a good one", events)
		}
		if n := len(listener.All("completed")); n != 0 {
			t.Errorf("node went on and read %d events: the trap is gone, and can be dropped from here", n)
		}
	})
}

// TestEvents_EachNameThatNodeDeclaresIsKnown reads the interface that BullMQ's
// listeners implement.
func TestEvents_EachNameThatNodeDeclaresIsKnown(t *testing.T) {
	l := labWithoutNode(t)
	declared := regexp.MustCompile(`(?m)^    '?([a-z-]+)'?: \((?:args|id): `)
	names := map[string]bool{}
	for _, version := range node.Versions() {
		text, err := os.ReadFile(filepath.Join("node_modules", "bullmq-"+version, "dist", "esm", "classes", "queue-events.d.ts"))
		if err != nil {
			leaveOut(t, true)
			t.Fatal(err)
		}
		for _, match := range declared.FindAllStringSubmatch(string(text), -1) {
			names[match[1]] = match[1] != "error"
		}
	}
	if len(names) < 18 {
		t.Fatalf("found %v, want all names of the interface", names)
	}
	var last string
	for name, written := range names {
		if written {
			last = must(t, l.redis.Do(t.Context(), "XADD", key("events"), "*", "event", name, "jobId", "1")).(string)
		}
	}
	for _, event := range l.read(redisqueue.EventID(last)) {
		if _, custom := event.Detail.(redisqueue.EventCustom); custom {
			t.Errorf("event %s has no type of its own", event.Name)
		}
	}
}

func TestEvents_ConnectionsHaveTheNameThatNodeLooksFor(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for _, err := range l.handle().Events(ctx, redisqueue.EventsFromNow) {
				if err != nil {
					return
				}
			}
		}()
		await(t, "node to see the reader", func() bool {
			return len(node.Decode[[]any](t, queue.Call("getQueueEvents"))) == 1
		})
		cancel()
		<-ended
		await(t, "node to see it gone", func() bool {
			return len(node.Decode[[]any](t, queue.Call("getQueueEvents"))) == 0
		})
		if n := len(node.Decode[[]any](t, queue.Call("getWorkers"))); n != 0 {
			t.Errorf("node counts %d workers, want none", n)
		}
	})
}

func TestCheck12_TaktWaitsForTheEndOfNodesJob(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, mail := l.Queue("mail"), l.handle()
		good, bad := queue.Add("good", 7, node.Opts{"removeOnComplete": true}), queue.Add("bad", 8)
		type end struct {
			result string
			err    error
		}
		ends := map[string]chan end{good.ID: make(chan end, 1), bad.ID: make(chan end, 1)}
		for id, ended := range ends {
			go func() {
				result, err := mail.WaitUntilFinished(t.Context(), domain.JobID(id))
				ended <- end{string(result), err}
			}()
		}
		await(t, "takt to listen", func() bool { return len(node.Decode[[]any](t, queue.Call("getQueueEvents"))) == 1 })
		gate := fmt.Sprintf("gate %s", l.server.Addr)
		l.Worker("mail", node.Steps{"good": {node.AwaitGate(gate), node.Echo()}, "bad": {node.AwaitGate(gate), node.Fail("no luck")}}, node.Opts{"concurrency": 2})
		await(t, "both jobs to be active", func() bool { return len(l.list("active")) == 2 })
		l.Open(gate)
		if got := <-ends[good.ID]; got.err != nil || got.result != "7" {
			t.Errorf("WaitUntilFinished = %s, %v, want 7", got.result, got.err)
		}
		got := <-ends[bad.ID]
		if failed, is := errors.AsType[*redisqueue.JobFailedError](got.err); !is || failed.Reason != "no luck" {
			t.Errorf("WaitUntilFinished = %v, want the failure", got.err)
		}
		if _, err := mail.WaitUntilFinished(t.Context(), domain.JobID(bad.ID)); err == nil {
			t.Error("WaitUntilFinished of a job that failed before = no error, want one")
		}
	})
}
