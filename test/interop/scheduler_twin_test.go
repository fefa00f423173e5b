package interop_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

// scheduling makes, changes and removes schedulers by Node or by Takt.
type scheduling interface {
	upsert(s redisqueue.Scheduler) error
	remove(id string) bool
}

type nodeScheduling struct{ queue *node.Queue }

func (n nodeScheduling) upsert(s redisqueue.Scheduler) error {
	_, err := n.queue.Try("upsertJobScheduler", s.ID, nodeRepeat(s), nodeTemplate(s.Template))
	return err
}

func (n nodeScheduling) remove(id string) bool {
	return string(n.queue.Call("removeJobScheduler", id)) == "true"
}

// nodeRepeat returns the scheduler's times as Node takes them.
func nodeRepeat(s redisqueue.Scheduler) node.Opts {
	repeat := node.Opts{}
	set := func(name string, value any, given bool) {
		if given {
			repeat[name] = value
		}
	}
	set("every", s.Every.Milliseconds(), s.Every != 0)
	set("pattern", s.Pattern, s.Pattern != "")
	set("tz", s.Zone, s.Zone != "")
	set("limit", s.Limit, s.Limit != 0)
	set("count", s.Count, s.Count != 0)
	set("offset", s.Offset.Milliseconds(), s.Offset != 0)
	set("startDate", s.StartDate.UnixMilli(), !s.StartDate.IsZero())
	set("endDate", s.EndDate.UnixMilli(), !s.EndDate.IsZero())
	set("immediately", true, s.Immediately)
	return repeat
}

// nodeTemplate returns the template as Node takes it, with the options that
// the checks use.
func nodeTemplate(t redisqueue.Template) node.Opts {
	template, opts := node.Opts{"name": t.Name}, node.Opts{}
	set := func(into node.Opts, name string, value any, given bool) {
		if given {
			into[name] = value
		}
	}
	o, x := t.Options, t.Extras
	set(template, "data", jsonText(t.Data), t.Data != nil)
	set(opts, "attempts", o.Attempts, o.Attempts != 0)
	set(opts, "priority", o.Priority, o.Priority != 0)
	set(opts, "lifo", true, o.LIFO)
	set(opts, "backoff", node.Opts{"type": o.Backoff.Kind, "delay": o.Backoff.Delay.Milliseconds()}, o.Backoff.Kind != "")
	set(opts, "removeOnComplete", node.Opts{"count": o.KeepCompleted.Count}, o.KeepCompleted.Limited)
	set(opts, "removeOnFail", true, o.KeepFailed.Limited)
	set(opts, "keepLogs", x.KeepLogs, x.KeepLogs != 0)
	set(opts, "stackTraceLimit", x.StackTraceLimit, x.StackTraceLimit != 0)
	set(opts, "sizeLimit", x.SizeLimit, x.SizeLimit != 0)
	set(opts, string(x.OnFailure), true, x.OnFailure != "")
	set(opts, "telemetry", node.Opts{"metadata": x.Telemetry.Metadata, "omitContext": x.Telemetry.OmitContext}, x.Telemetry.Metadata != "")
	template["opts"] = opts
	return template
}

// jsonText is JSON that goes to Node as it is.
type jsonText []byte

func (j jsonText) MarshalJSON() ([]byte, error) { return j, nil }

type taktScheduling struct {
	l     *lab
	queue *redisqueue.Queue
}

// upsert returns the errors that Node has too in Node's words.
func (k taktScheduling) upsert(s redisqueue.Scheduler) error {
	_, err := k.queue.UpsertScheduler(k.l.t.Context(), s)
	switch {
	case errors.Is(err, redisqueue.ErrRunExists):
		return errors.New("Cannot create job scheduler iteration - job ID already exists. addJobScheduler") // Node's words
	case errors.Is(err, redisqueue.ErrSlotsBusy):
		return errors.New("Cannot create job scheduler iteration - current and next time slots already have jobs. addJobScheduler") // Node's words
	}
	return err
}

func (k taktScheduling) remove(id string) bool {
	removed, err := k.queue.RemoveScheduler(k.l.t.Context(), id)
	if err != nil {
		k.l.t.Fatal(err)
	}
	return removed
}

// act does one thing to the schedulers of a lab, and returns what is to be
// equal.
type act func(l *lab, by scheduling) string

func upserts(s redisqueue.Scheduler) act {
	return func(_ *lab, by scheduling) string {
		// Runs of one ms have one id.
		redistest.Pass(3 * time.Millisecond)
		if s.Template.Name == "" {
			s.Template.Name = s.ID
		}
		return fmt.Sprint(by.upsert(s))
	}
}

func removes(_ *lab, by scheduling) string { return fmt.Sprint(by.remove("s")) }

// leases has Takt take the next job, which stays active.
func leases(l *lab, _ scheduling) string {
	name, _, _ := strings.Cut(string(l.desk().next().Job.ID), ":1")
	return name
}

// promotes makes all delayed jobs due.
func promotes(l *lab, _ scheduling) string {
	return string(l.Queue("mail").Call("promoteJobs"))
}

// blocks puts jobs where n runs of the hourly scheduler would be, from the
// begin on.
func blocks(begin time.Time, n int) act {
	return func(l *lab, _ scheduling) string {
		for i := range n {
			run := fmt.Sprintf("repeat:s:%d", begin.Add(time.Duration(i)*time.Hour).UnixMilli())
			must(l.t, l.redis.HSet(l.t.Context(), key(run), "name", "x", "timestamp", 1))
		}
		return ""
	}
}

// Whatever state the pending run is in, Takt's upsert and removal leave what
// Node's leave.
func TestCheck69_TaktChangesSchedulersAsNodeDoes(t *testing.T) {
	const hour = time.Hour
	begin := time.Now().Add(100 * hour).Truncate(hour)
	hourly := redisqueue.Scheduler{ID: "s", Every: hour}
	later := redisqueue.Scheduler{ID: "s", Every: hour, StartDate: begin}
	slower := redisqueue.Scheduler{ID: "s", Every: 2 * hour}
	nightly := redisqueue.Scheduler{ID: "s", Pattern: "0 3 * * *", Zone: "Europe/Berlin"}
	once := redisqueue.Scheduler{ID: "s", Every: hour, Limit: 1}
	ranked := redisqueue.Scheduler{ID: "s", Every: hour, Template: redisqueue.Template{Options: domain.JobOptions{Priority: 3}}}
	rich := redisqueue.Scheduler{
		ID: "team:s", Pattern: "0 0 12 * * 1-5", Limit: 7, StartDate: begin, EndDate: begin.Add(500 * hour),
		Template: redisqueue.Template{
			Name: "send", Data: []byte(`{"a":[1,"/"]}`), Options: domain.JobOptions{
				Attempts: 3, Priority: 2, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Second},
				KeepCompleted: domain.KeepLast(5), KeepFailed: domain.KeepNone(),
			},
			Extras: redisqueue.Extras{
				KeepLogs: 3, StackTraceLimit: 2, SizeLimit: 100, OnFailure: redisqueue.FailParent,
				Telemetry: redisqueue.Telemetry{Metadata: "m", OmitContext: true},
			},
		},
	}
	cases := map[string][]act{
		"made anew":                 {upserts(hourly), upserts(later), upserts(rich)},
		"begin ahead":               {upserts(later)},
		"all there is":              {upserts(rich)},
		"delayed, same interval":    {upserts(later), upserts(hourly)},
		"delayed, another interval": {upserts(later), upserts(slower)},
		"waiting, same interval":    {upserts(hourly), upserts(hourly)},
		"waiting, another interval": {upserts(hourly), upserts(slower)},
		"waiting, to a pattern":     {upserts(hourly), upserts(nightly)},
		"pattern to interval":       {upserts(nightly), upserts(hourly)},
		"pattern to another":        {upserts(nightly), upserts(redisqueue.Scheduler{ID: "s", Pattern: "0 4 * * *"})},
		"prioritized":               {upserts(ranked), upserts(ranked), upserts(slower)},
		"promoted":                  {upserts(nightly), promotes, upserts(nightly), upserts(nightly)},
		"active with a successor":   {upserts(hourly), leases, upserts(hourly), upserts(slower)},
		"active, the last one":      {upserts(once), leases, upserts(hourly)},
		"active, another interval":  {upserts(once), leases, upserts(slower)},
		"active, to a pattern":      {upserts(once), leases, upserts(nightly)},
		"at the front of the line":  {upserts(redisqueue.Scheduler{ID: "a", Every: hour}), upserts(redisqueue.Scheduler{ID: "s", Every: hour, Template: redisqueue.Template{Options: domain.JobOptions{LIFO: true}}})},
		"pattern at once":           {upserts(redisqueue.Scheduler{ID: "s", Pattern: "0 3 * * *", Immediately: true})},
		"some count as made":        {upserts(redisqueue.Scheduler{ID: "s", Every: hour, Limit: 5, Count: 3}), leases},
		"one slot busy":             {blocks(begin, 1), upserts(later)},
		"all slots busy":            {blocks(begin, 40), upserts(later)},
		"run of a pattern is there": {blocks(begin, 24), upserts(redisqueue.Scheduler{ID: "s", Pattern: "0 0 * * * *", StartDate: begin})},
		"removed while delayed":     {upserts(later), removes, removes},
		"removed while waiting":     {upserts(hourly), removes, upserts(slower)},
		"removed while active":      {upserts(hourly), leases, removes},
		"removed though unknown":    {removes},
	}
	since5_81 := map[string][]act{
		"some slots busy":   {blocks(begin, 31), upserts(later)},
		"last slot busy":    {blocks(begin, 33), upserts(later)},
		"offset":            {upserts(redisqueue.Scheduler{ID: "s", Every: hour, Offset: 20 * time.Minute}), upserts(hourly), upserts(slower)},
		"offset, changed":   {upserts(hourly), upserts(redisqueue.Scheduler{ID: "s", Every: hour, Offset: time.Minute})},
		"offset, to begin":  {upserts(redisqueue.Scheduler{ID: "s", Every: hour, Offset: time.Minute, StartDate: begin})},
		"offset to pattern": {upserts(redisqueue.Scheduler{ID: "s", Every: hour, Offset: time.Minute}), upserts(nightly), upserts(hourly)},
	}
	forVersions(t, fast, func(t *testing.T, l *lab) {
		for name, acts := range cases {
			t.Run(name, func(t *testing.T) { compareScheduling(t, l.Version, acts) })
		}
		if l.Version == node.V5First {
			return
		}
		for name, acts := range since5_81 {
			t.Run(name, func(t *testing.T) { compareScheduling(t, l.Version, acts) })
		}
	})
}

// compareScheduling does the same by Node and by Takt.
func compareScheduling(t *testing.T, version string, acts []act) {
	t.Helper()
	byNode, byTakt := newLab(t, version), newLab(t, version)
	nodes := nodeScheduling{byNode.Queue("mail")}
	byTakt.Queue("mail") // which signs the queue
	takts := taktScheduling{byTakt, byTakt.queue("mail")}
	for i, act := range acts {
		want, got := act(byNode, nodes), act(byTakt, takts)
		if want != got {
			t.Errorf("step %d: node answers %s, takt %s", i+1, want, got)
		}
	}
	if diff := keydump.Diff(byNode.dump(), byTakt.dump()); diff != "" {
		t.Errorf("the keys differ (-node +takt):\n%s", diff)
	}
}
