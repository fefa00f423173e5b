package interop_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

// upsert makes a scheduler on the queue mail by Takt.
func (l *lab) upsert(s redisqueue.Scheduler) redisqueue.SchedulerState {
	l.t.Helper()
	state, err := l.queue("mail").UpsertScheduler(l.t.Context(), s)
	if err != nil {
		l.t.Fatal(err)
	}
	return state
}

// nodeScheduler is what Node says of a scheduler.
type nodeScheduler struct {
	Key            string `json:"key"`
	Name           string `json:"name"`
	Next           int64  `json:"next"`
	IterationCount int64  `json:"iterationCount"`
	Limit          int64  `json:"limit"`
	StartDate      int64  `json:"startDate"`
	EndDate        int64  `json:"endDate"`
	TZ             string `json:"tz"`
	Pattern        string `json:"pattern"`
	Every          int64  `json:"every"`
	Offset         int64  `json:"offset"`
}

// asNode returns the state as Node says it.
func asNode(s redisqueue.SchedulerState) nodeScheduler {
	ms := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.UnixMilli()
	}
	return nodeScheduler{
		Key: s.ID, Name: s.Template.Name, Next: ms(s.Next), IterationCount: s.Iterations, Limit: int64(s.Limit), StartDate: ms(s.StartDate),
		EndDate: ms(s.EndDate), TZ: s.Zone, Pattern: s.Pattern, Every: s.Every.Milliseconds(), Offset: s.Offset.Milliseconds(),
	}
}

// someSchedulers have the options of schedulers between them.
func someSchedulers() []redisqueue.Scheduler {
	begin := time.Now().Add(50 * time.Hour).Truncate(time.Hour)
	return []redisqueue.Scheduler{
		{ID: "interval", Every: time.Hour, StartDate: begin, Limit: 5},
		{ID: "pattern", Pattern: "0 0 3 * * 1-5", Zone: "America/New_York", StartDate: begin.Add(240 * time.Hour), EndDate: begin.Add(9000 * time.Hour)},
		{
			ID: "template", Every: 2 * time.Hour, StartDate: begin.Add(time.Hour), Template: redisqueue.Template{
				Name: "send", Data: []byte(`{"a":1}`),
				Options: domain.JobOptions{Attempts: 3, Priority: 2, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Second}, KeepCompleted: domain.KeepLast(4)},
				Extras:  redisqueue.Extras{KeepLogs: 3, StackTraceLimit: 2, SizeLimit: 50, Telemetry: redisqueue.Telemetry{Metadata: "m", OmitContext: true}},
			},
		},
	}
}

func TestCheck69_NodeReadsTaktsSchedulersAndTaktNodes(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		ctx, queue, takt := t.Context(), l.Queue("mail"), l.queue("mail")
		other := newLab(t, l.Version)
		nodes := nodeScheduling{other.Queue("mail")}
		for _, s := range someSchedulers() {
			l.upsert(s)
			if s.Template.Name == "" {
				s.Template.Name = s.ID
			}
			if err := nodes.upsert(s); err != nil {
				t.Fatal(err)
			}
		}
		// The whole of what Node says is the same for both, templates included.
		for _, args := range [][]any{{}, {0, -1, true}, {0, 1}, {1, 2, true}, {5, 9}} {
			want, got := nodes.queue.Call("getJobSchedulers", args...), queue.Call("getJobSchedulers", args...)
			if diff := cmp.Diff(node.Decode[any](t, want), node.Decode[any](t, got)); diff != "" {
				t.Errorf("getJobSchedulers%v of Node's (-) and of Takt's (+):\n%s", args, diff)
			}
		}
		if n := string(queue.Call("getJobSchedulersCount")); n != "3" {
			t.Errorf("getJobSchedulersCount = %s, want 3", n)
		}
		// Takt's listing is Node's, in both orders and in pages.
		for _, c := range []struct {
			node []any
			takt redisqueue.SchedulerRange
		}{
			{[]any{}, redisqueue.SchedulerRange{}},
			{[]any{0, -1, true}, redisqueue.SchedulerRange{Ascending: true}},
			{[]any{0, 1}, redisqueue.SchedulerRange{Limit: 2}},
			{[]any{1, 2, true}, redisqueue.SchedulerRange{Offset: 1, Limit: 2, Ascending: true}},
			{[]any{5, 9}, redisqueue.SchedulerRange{Offset: 5, Limit: 5}},
		} {
			states, err := other.queue("mail").Schedulers(ctx, c.takt)
			if err != nil {
				t.Fatal(err)
			}
			got := []nodeScheduler{}
			for _, state := range states {
				got = append(got, asNode(state))
			}
			if diff := cmp.Diff(node.Decode[[]nodeScheduler](t, nodes.queue.Call("getJobSchedulers", c.node...)), got); diff != "" {
				t.Errorf("Schedulers(%+v) differs from getJobSchedulers%v (-node +takt):\n%s", c.takt, c.node, diff)
			}
		}
		for _, s := range someSchedulers() {
			state, err := other.queue("mail").Scheduler(ctx, s.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(node.Decode[nodeScheduler](t, nodes.queue.Call("getJobScheduler", s.ID)), asNode(state)); diff != "" {
				t.Errorf("Scheduler(%s) differs from getJobScheduler (-node +takt):\n%s", s.ID, diff)
			}
			if s.Template.Name != "" {
				if diff := cmp.Diff(s.Template, state.Template); diff != "" {
					t.Errorf("template of %s as Takt reads it (-want +got):\n%s", s.ID, diff)
				}
			}
		}
		if n, err := takt.CountSchedulers(ctx); err != nil || n != 3 {
			t.Errorf("CountSchedulers = %d, %v, want 3", n, err)
		}
		for _, want := range []string{"true", "false"} {
			if got := string(queue.Call("removeJobScheduler", "interval")); got != want {
				t.Errorf("removeJobScheduler of Takt's = %s, want %s", got, want)
			}
		}
	})
}

func TestCheck69_NodesWorkerContinuesTaktsScheduler(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		worker := l.Worker("mail", node.Steps{"tick": {node.Echo()}})
		l.upsert(redisqueue.Scheduler{ID: "beat", Every: 200 * time.Millisecond, Template: redisqueue.Template{Name: "tick", Data: []byte(`{"a":1}`)}})
		worker.Await(t, 4, "completed")
		state, err := l.queue("mail").Scheduler(t.Context(), "beat")
		if err != nil || state.Iterations < 4 {
			t.Errorf("Scheduler = %+v, %v, want at least four iterations", state, err)
		}
		if removed, err := l.queue("mail").RemoveScheduler(t.Context(), "beat"); !removed || err != nil {
			t.Errorf("RemoveScheduler = %t, %v, want it removed", removed, err)
		}
		if l.has("repeat") || l.has("repeat:beat") {
			t.Error("keys of the scheduler are left")
		}
	})
}

// Everything is Takt's: producer, worker, changes in between.
func TestCheck67_TaktsOwnSchedulerRunsInOneChain(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		order := &journal{}
		l.Queue("mail")
		l.work(work{concurrency: 4, handlers: handlers{"tick": order.note}})
		beat := redisqueue.Scheduler{ID: "beat", Every: 200 * time.Millisecond, Template: redisqueue.Template{Name: "tick"}}
		l.upsert(beat)
		runs := planned(t, "beat", order.awaitRuns(t, 5))
		wantSteps(t, runs[1:], 200)
		seen := len(order.ids())
		for range 20 {
			l.upsert(beat)
		}
		beat.Every = 150 * time.Millisecond
		l.upsert(beat)
		order.awaitRuns(t, seen+6)
		if n := len(l.scores("delayed")); n > 1 {
			t.Errorf("%d jobs are planned, want one at most", n)
		}
	})
}

func TestCheck68_NodesWorkerStopsTaktsPatternAtItsLimit(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		worker := l.Worker("mail", node.Steps{"tick": {node.Echo()}})
		l.upsert(redisqueue.Scheduler{ID: "s", Pattern: "* * * * * *", Zone: "Asia/Kathmandu", Limit: 2, Template: redisqueue.Template{Name: "tick"}})
		worker.Await(t, 2, "completed")
		redistest.Pass(1500 * time.Millisecond)
		if counts := l.Queue("mail").Counts("completed", "delayed", "waiting", "active"); counts["completed"] != 2 || counts["delayed"] != 0 {
			t.Errorf("counts = %v, want two completed and none planned", counts)
		}
	})
}

// The first run of a pattern is planned for the very ms for which Node plans
// it.
func TestCheck68_TaktPlansTheFirstRunThatNodeWouldPlan(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, takt := l.Queue("mail"), newLab(t, l.Version)
		for i, s := range []redisqueue.Scheduler{
			{Pattern: "30 2 * * *", Zone: "Europe/Paris"},
			{Pattern: "15 1,13 * * 1-5", Zone: "Australia/Lord_Howe"},
			{Pattern: "0 12 L * *", Zone: "America/New_York"},
			{Pattern: "0 9 13 * 5", Zone: "UTC"},
			{Pattern: "*/20 59 23 31 12 *", Zone: "Pacific/Apia"},
			{Pattern: "@weekly"},
			{Pattern: "0 0 * * 5#2"},
			{Pattern: "0 0 * jan,jul sunL", Zone: "utc+5:30"},
			{Pattern: "0 3 * * *", StartDate: time.Now().Add(5000 * time.Hour)},
		} {
			s.ID = "s" + strconv.Itoa(i)
			s.Template.Name = s.ID
			queue.Call("upsertJobScheduler", s.ID, nodeRepeat(s), node.Opts{})
			want := node.Decode[nodeScheduler](t, queue.Call("getJobScheduler", s.ID)).Next
			if got := takt.upsert(s).Next.UnixMilli(); got != want {
				t.Errorf("first run of %s in %s is at %d by takt, at %d by node", s.Pattern, s.Zone, got, want)
			}
		}
	})
}

// What BullMQ 5 knows of repeatable jobs that Takt keeps alive, Takt knows,
// too, and either removes them.
func TestCheck70_RepeatableJobsAreListedAndRemovedByBoth(t *testing.T) {
	forSome(t, fast, []string{node.V5First, node.V5Last}, func(t *testing.T, l *lab) {
		ctx, queue, takt := t.Context(), l.Queue("mail"), l.queue("mail")
		end := time.Now().Add(5000 * time.Hour)
		repeatables := map[string]redisqueue.Repeatable{
			"interval": {Name: "tick", Every: 200 * time.Millisecond},
			"pattern":  {Name: "tick", Pattern: "* * * * * *", Zone: "Europe/Berlin"},
			"end":      {Name: "tick", Every: time.Hour, EndDate: end},
			"id":       {Name: "tick", Every: time.Hour, JobID: "mine"},
		}
		options := func(r redisqueue.Repeatable) node.Opts {
			return nodeRepeat(redisqueue.Scheduler{Every: r.Every, Pattern: r.Pattern, Zone: r.Zone, EndDate: r.EndDate})
		}
		addAll := func() {
			for _, r := range repeatables {
				opts := node.Opts{"repeat": options(r)}
				if r.JobID != "" {
					opts["jobId"] = r.JobID
				}
				queue.Add("tick", node.Opts{"a": 1}, opts)
			}
		}
		keysOf := func() (keys []string) {
			for _, r := range repeatables {
				keys = append(keys, r.Key())
			}
			slices.Sort(keys)
			return keys
		}
		listed := func() (byNode, byTakt []string) {
			for _, r := range node.Decode[[]struct{ Key string }](t, queue.Call("getRepeatableJobs")) {
				byNode = append(byNode, r.Key)
			}
			states, err := takt.Schedulers(ctx, redisqueue.SchedulerRange{})
			if err != nil {
				t.Fatal(err)
			}
			for _, state := range states {
				byTakt = append(byTakt, state.ID)
			}
			slices.Sort(byNode)
			slices.Sort(byTakt)
			return byNode, byTakt
		}
		wantListed := func(when string, want []string) {
			t.Helper()
			byNode, byTakt := listed()
			if !slices.Equal(byNode, want) || !slices.Equal(byTakt, want) {
				t.Errorf("%s node lists %v, takt %v, want %v", when, byNode, byTakt, want)
			}
		}

		addAll()
		wantListed("at first", keysOf())
		for _, object := range []*node.Object{queue.Object, l.Worker("else", node.Steps{}).Object} {
			// A worker of another queue has none.
			want := map[bool]string{true: "4", false: "0"}[object == queue.Object]
			if n := string(object.Call("repeat.getRepeatableCount")); n != want {
				t.Errorf("repeat.getRepeatableCount = %s, want %s", n, want)
			}
		}
		order := &journal{}
		worker := l.work(work{handlers: handlers{"tick": order.note}})
		order.awaitRuns(t, 5)
		stop(worker)
		wantListed("after some runs", keysOf())

		for name, r := range repeatables {
			if removed, err := takt.RemoveRepeatable(ctx, r); !removed || err != nil {
				t.Errorf("RemoveRepeatable(%s) = %t, %v, want it removed", name, removed, err)
			}
			if removed, err := takt.RemoveRepeatable(ctx, r); removed || err != nil {
				t.Errorf("RemoveRepeatable(%s) again = %t, %v, want nothing to remove", name, removed, err)
			}
		}
		wantListed("after Takt's removals", nil)
		if n := len(l.scores("delayed")); n != 0 {
			t.Errorf("%d jobs are planned after all removals, want none", n)
		}

		addAll()
		for name, r := range repeatables {
			removed := queue.Call("removeRepeatableByKey", r.Key())
			if name == "pattern" {
				queue.Add("tick", node.Opts{}, node.Opts{"repeat": options(r)})
				removed = queue.Call("removeRepeatable", "tick", options(r))
			}
			if string(removed) != "true" {
				t.Errorf("node removes %s: %s, want true", name, removed)
			}
		}
		wantListed("after Node's removals", nil)
	})
}

// The class that Node's queues and workers have their schedulers from, used by
// itself and through them.
func TestNodesSchedulersOfTaktAreWhatNodesSchedulersOfNodeAre(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		l.Queue("mail")
		first := redisqueue.Scheduler{ID: "first", Every: time.Hour, StartDate: time.Now().Add(time.Hour)}
		l.upsert(first)
		scheduler := l.New("JobScheduler", node.Opts{}, "mail")
		repeat := node.Opts{"every": 2 * time.Hour.Milliseconds(), "startDate": first.StartDate.UnixMilli() + 5}
		scheduler.Call("upsertJobScheduler", "second", repeat, "tick", node.Opts{"a": 1}, node.Opts{"attempts": 2}, node.Opts{"override": true})
		state, err := l.queue("mail").Scheduler(t.Context(), "second")
		if err != nil || state.Every != 2*time.Hour || state.Template.Name != "tick" || state.Template.Options.Attempts != 2 {
			t.Errorf("Scheduler(second) = %+v, %v, want what Node made", state, err)
		}
		for via, object := range map[string]*node.Object{
			"": scheduler, "jobScheduler.": l.Queue("mail").Object, " jobScheduler.": l.Worker("mail", node.Steps{}).Object,
		} {
			via = strings.TrimSpace(via)
			got := node.Decode[nodeScheduler](t, object.Call(via+"getScheduler", "first"))
			if got.Key != "first" || got.Every != time.Hour.Milliseconds() {
				t.Errorf("%sgetScheduler(first) = %+v, want Takt's", via, got)
			}
			all := node.Decode[[]nodeScheduler](t, object.Call(via+"getJobSchedulers", 0, -1, true))
			if len(all) != 2 || all[0].Key != "first" || all[1].Key != "second" {
				t.Errorf("%sgetJobSchedulers = %+v, want first and second", via, all)
			}
			if n := string(object.Call(via + "getSchedulersCount")); n != "2" {
				t.Errorf("%sgetSchedulersCount = %s, want 2", via, n)
			}
			if l.Version != node.V5First && string(object.Call(via+"isJobScheduler", "first")) != "true" {
				t.Errorf("%sisJobScheduler(first) is not true", via)
			}
		}
		if removed := string(scheduler.Call("removeJobScheduler", "first")); removed != "0" {
			t.Errorf("removeJobScheduler(first) = %s, want 0", removed)
		}
		if left := must(t, l.redis.ZRange(t.Context(), key("repeat"), 0, -1)); !slices.Equal(left, []string{"second"}) {
			t.Errorf("schedulers %v are left, want second", left)
		}
	})
}

// Whatever Node says of a repetition, Takt plans the run after the first as
// Node does.
func TestTaktContinuesWhateverNodeSaysOfARepetition(t *testing.T) {
	hour := time.Hour.Milliseconds()
	begin := time.Now().Add(30*time.Hour).UnixMilli() / hour * hour
	schedulers := map[string]node.Opts{
		"every": {"every": hour}, "offset": {"every": hour, "offset": 1000}, "limit": {"every": hour, "limit": 3}, "count": {"every": hour, "count": 2, "limit": 4},
		"startDate": {"every": hour, "startDate": begin}, "endDate": {"pattern": "0 3 * * *", "endDate": begin + 100*hour},
		"pattern": {"pattern": "0 3 * * *"}, "tz": {"pattern": "0 3 * * *", "tz": "Asia/Tokyo"}, "immediately": {"pattern": "0 3 * * *", "immediately": true},
		"a date as text": {"pattern": "0 3 * * *", "startDate": time.UnixMilli(begin).UTC().Format(time.RFC3339)},
		"prevMillis":     {"pattern": "0 3 * * *", "prevMillis": begin + 50*hour},
	}
	repeatables := map[string]node.Opts{
		"key": {"every": hour, "key": "mine"}, "jobId": {"every": hour}, "utc": {"pattern": "0 3 * * *", "utc": true}, "immediately, of old": {"every": hour, "immediately": true},
		"currentDate": {"pattern": "0 3 * * *", "currentDate": begin}, "nthDayOfWeek": {"pattern": "0 3 * * 1", "nthDayOfWeek": 2},
		"startDate, of old": {"pattern": "0 3 * * *", "startDate": begin},
	}
	forVersions(t, fast, func(t *testing.T, l *lab) {
		for name, repeat := range schedulers {
			t.Run(name, func(t *testing.T) {
				compareContinuation(t, l.Version, func(queue *node.Queue) {
					queue.Call("upsertJobScheduler", "s", repeat, node.Opts{"name": "tick", "data": node.Opts{"a": 1}})
				})
			})
		}
		if l.v6() {
			return
		}
		for name, repeat := range repeatables {
			t.Run(name, func(t *testing.T) {
				compareContinuation(t, l.Version, func(queue *node.Queue) {
					opts := node.Opts{"repeat": repeat, "attempts": 2}
					if name == "jobId" {
						opts["jobId"] = "mine"
					}
					queue.Add("tick", node.Opts{"a": 1}, opts)
				})
			})
		}
		t.Run("keys by another hash", func(t *testing.T) {
			l := newLab(t, l.Version)
			queue, order := l.Queue("mail", node.Opts{"settings": node.Opts{"repeatKeyHashAlgorithm": "sha256"}}), &journal{}
			queue.Add("tick", node.Opts{}, node.Opts{"repeat": node.Opts{"every": 200}})
			l.work(work{handlers: handlers{"tick": order.note}})
			order.awaitRuns(t, 3)
			states, err := l.queue("mail").Schedulers(t.Context(), redisqueue.SchedulerRange{})
			if err != nil || len(states) != 1 || len(states[0].ID) != 64 {
				t.Fatalf("Schedulers = %+v, %v, want one with a key of 64 digits", states, err)
			}
			if removed, err := l.queue("mail").RemoveScheduler(t.Context(), states[0].ID); !removed || err != nil {
				t.Errorf("RemoveScheduler = %t, %v, want it removed", removed, err)
			}
		})
	})
}

// compareContinuation has the first run of a schedule taken by Node and by
// Takt, and compares the ids of what is planned then, and what the keys are.
func compareContinuation(t *testing.T, version string, schedule func(*node.Queue)) {
	t.Helper()
	planned := func(run func(*lab)) (ids []string, dump keydump.Dump) {
		l := newLab(t, version)
		queue := l.Queue("mail")
		schedule(queue)
		queue.Call("promoteJobs")
		run(l)
		l.awaitCount("completed", 1)
		await(t, "the next run to be planned", func() bool { return len(l.scores("delayed")) == 1 })
		return queue.IDs("delayed"), l.dump()
	}
	want, wantDump := planned(func(l *lab) { l.Worker("mail", node.Steps{"tick": {node.Echo()}}, node.Opts{"name": "w"}) })
	got, gotDump := planned(func(l *lab) { l.work(work{handlers: handlers{"tick": echo}}) })
	// Intervals that begin at once differ by the moment.
	near := func(a, b string) bool {
		x, _ := strconv.ParseInt(a[strings.LastIndexByte(a, ':')+1:], 10, 64)
		y, _ := strconv.ParseInt(b[strings.LastIndexByte(b, ':')+1:], 10, 64)
		return x-y < time.Minute.Milliseconds() && y-x < time.Minute.Milliseconds()
	}
	if len(want) != 1 || len(got) != 1 || !near(want[0], got[0]) {
		t.Errorf("takt plans %v, node %v", got, want)
	}
	if diff := keydump.Diff(wantDump.Without(":marker", ":stalled-check"), gotDump.Without(":marker", ":stalled-check")); diff != "" {
		t.Errorf("the keys differ (-node +takt):\n%s", diff)
	}
}
