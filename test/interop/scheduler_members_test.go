package interop_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/test/interop/node"
)

// What Node's classes say of schedules that Takt keeps going.

// atTakt has Takt's worker run a schedule of Node's, and returns the jobs.
func atTakt(t *testing.T, l *lab, id string, runs int) (*journal, *node.Queue) {
	t.Helper()
	queue, order := l.Queue("mail"), &journal{}
	queue.Call("upsertJobScheduler", id, node.Opts{"every": 200}, node.Opts{"name": "tick", "data": node.Opts{"a": 1}})
	worker := l.work(work{handlers: handlers{"tick": order.note}})
	order.awaitRuns(t, runs)
	stop(worker)
	return order, queue
}

func TestSchedulersOfNodeReadWhatTaktKeepsGoing(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		_, queue := atTakt(t, l, "beat", 3)
		own := l.New("JobScheduler", nil, "mail")
		ofQueue := queue.KeepProperty("jobScheduler")
		ofWorker := l.Manual("mail").KeepProperty("jobScheduler")
		for name, scheduler := range map[string]*node.Object{"its own": own, "the queue's": ofQueue, "the worker's": ofWorker} {
			for _, answer := range []answer{
				ask(scheduler, "getScheduler", "beat"), ask(scheduler, "getJobSchedulers", 0, -1, true),
			} {
				if !strings.Contains(answer.value, `"every":200`) || !strings.Contains(answer.value, `"name":"tick"`) {
					t.Errorf("%s: %s = %s, want the schedule", name, answer.call, answer.value)
				}
			}
			if n := string(scheduler.Call("getSchedulersCount")); n != "1" {
				t.Errorf("%s: getSchedulersCount = %s, want 1", name, n)
			}
			if l.Version != node.V5First {
				if is := string(scheduler.Call("isJobScheduler", "beat")); is != "true" {
					t.Errorf("%s: isJobScheduler = %s, want true", name, is)
				}
			}
		}
		for method, want := range map[string]string{"getJobSchedulersCount": "1", "getJobSchedulers": `"every":200`} {
			if got := string(queue.Call(method)); !strings.Contains(got, want) {
				t.Errorf("%s = %s, want %s in it", method, got, want)
			}
		}
		own.Call("removeJobScheduler", "beat")
		if l.has("repeat") || l.has("repeat:beat") || len(l.scores("delayed")) > 0 {
			t.Error("keys of the schedule or its next run are left")
		}
	})
}

// The object of 5.x and 6.x without a queue makes schedules that Takt runs.
func TestASchedulerOfNodeMakesAScheduleThatTaktRuns(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.New("JobScheduler", nil, "mail").Call("upsertJobScheduler", "beat", node.Opts{"every": 200}, "tick", node.Opts{"a": 1}, node.Opts{}, node.Opts{"override": true})
		order := &journal{}
		l.work(work{handlers: handlers{"tick": order.note}})
		order.awaitRuns(t, 3)
	})
}

// untilDue is how long after its planning a run is due.
var untilDue = regexp.MustCompile(`"delay":\d+`)

// What marks a run as one of a schedule is in those that Takt plans, as in
// those that Node plans.
func TestTheNextRunOfTaktIsMarkedAsNodesIs(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		for _, repeat := range []node.Opts{{"every": 3_600_000}, {"pattern": "0 0 1 1 *", "immediately": true}} {
			want := marksOfNext(newLab(t, l.Version), repeat, func(l *lab) { l.Worker("mail", node.Steps{}) })
			got := marksOfNext(newLab(t, l.Version), repeat, func(l *lab) { l.work(work{handlers: handlers{"tick": echo}}) })
			if indented(got) != indented(want) {
				t.Errorf("opts of takt's next run = %s, want node's %s", got, want)
			}
			if marked := strings.Contains(got, `"prevMillis"`); marked != (repeat["pattern"] != nil) {
				t.Errorf("opts = %s, want prevMillis for patterns alone", got)
			}
		}
	})
}

// marksOfNext has the first run of a schedule worked, and returns the options
// of the next.
func marksOfNext(l *lab, repeat node.Opts, work func(l *lab)) string {
	l.t.Helper()
	queue := l.Queue("mail")
	queue.Call("upsertJobScheduler", "beat", repeat, node.Opts{"name": "tick", "opts": node.Opts{"attempts": 2}})
	work(l)
	await(l.t, "the next run to be planned", func() bool { return len(l.scores("completed")) == 1 && len(l.scores("delayed")) == 1 })
	next := queue.MustJob(queue.IDs("delayed")[0])
	if next.RepeatJobKey != "beat" {
		l.t.Errorf("repeatJobKey = %q, want beat", next.RepeatJobKey)
	}
	return untilDue.ReplaceAllString(ofTheRun.ReplaceAllString(l.hash(next.ID)["opts"], "0"), `"delay":0`)
}

// The bounds of a schedule hold when Takt plans its runs.
func TestTaktKeepsToTheBoundsOfNodesSchedule(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		now := time.Now().UnixMilli()
		for id, repeat := range map[string]node.Opts{
			"ends":    {"every": 200, "endDate": now + 900},
			"begins":  {"every": 200, "startDate": now + 600},
			"offset":  {"every": 1000, "offset": 250},
			"counts":  {"every": 200, "limit": 2},
			"at-once": {"pattern": "0 0 1 1 *", "immediately": true, "tz": "Asia/Kathmandu"},
		} {
			queue.Call("upsertJobScheduler", id, repeat, node.Opts{"name": "tick"})
		}
		order := &journal{}
		l.work(work{handlers: handlers{"tick": order.note}})
		await(t, "runs of all", func() bool {
			return runsOf(order, "begins") >= 4 && runsOf(order, "offset") >= 2 && runsOf(order, "at-once") == 1
		})
		if n := runsOf(order, "counts"); n != 2 {
			t.Errorf("%d runs of the schedule limited to 2", n)
		}
		if n := runsOf(order, "ends"); n < 1 || n > 6 {
			t.Errorf("%d runs of the schedule that ended after 900 ms, want about 5", n)
		}
		first := planned(t, "begins", idsOf(order, "begins"))[0]
		if first < now+600-200 {
			t.Errorf("the first run of the schedule that begins later is at %d, want %d or later", first, now+600)
		}
		// 5.70.1 takes the offset of the first run for that of all.
		for _, at := range planned(t, "offset", idsOf(order, "offset"))[1:] {
			if l.Version != node.V5First && at%1000 != 250 {
				t.Errorf("a run at %d ms of its second, want the offset 250", at%1000)
			}
		}
	})
}

func idsOf(order *journal, scheduler string) []string {
	var ids []string
	for _, id := range order.ids() {
		if strings.HasPrefix(id, "repeat:"+scheduler+":") {
			ids = append(ids, id)
		}
	}
	return ids
}

func runsOf(order *journal, scheduler string) int { return len(idsOf(order, scheduler)) }

// The repetitions of 5.x by their own calls.
func TestLegacyRepetitionsThatTaktKeepsGoingAreListedAndRemoved(t *testing.T) {
	forSome(t, full, []string{node.V5First, node.V5Last}, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail", node.Opts{"settings": node.Opts{"repeatKeyHashAlgorithm": "sha256"}}), &journal{}
		worker := l.work(work{handlers: handlers{"tick": order.note}})
		for _, every := range []int{200, 250} {
			queue.Add("tick", node.Opts{}, node.Opts{"repeat": node.Opts{"every": every}})
		}
		order.awaitRuns(t, 6)
		stop(worker)
		listed := node.Decode[[]struct {
			Key   string `json:"key"`
			Every string `json:"every"`
		}](t, queue.Call("getRepeatableJobs"))
		if len(listed) != 2 {
			t.Fatalf("getRepeatableJobs = %+v, want two", listed)
		}
		for _, object := range []*node.Object{queue.KeepProperty("repeat"), l.Manual("mail").KeepProperty("repeat")} {
			if n := string(object.Call("getRepeatableCount")); n != "2" {
				t.Errorf("repeat.getRepeatableCount = %s, want 2", n)
			}
		}
		if removed := string(queue.Call("removeRepeatableByKey", listed[0].Key)); removed != "true" {
			t.Errorf("removeRepeatableByKey = %s, want true", removed)
		}
		rest := 200
		if listed[1].Every == "250" {
			rest = 250
		}
		if removed := string(queue.Call("removeRepeatable", "tick", node.Opts{"every": rest})); removed != "true" {
			t.Errorf("removeRepeatable = %s, want true", removed)
		}
		if n := len(l.scores("delayed")); n > 0 {
			t.Errorf("%d runs are still planned, want none", n)
		}
	})
}

// What the types of 5.x take over from its parser of patterns plans no other
// run by Takt than by Node.
func TestTheParsersOptionsPlanNodesRun(t *testing.T) {
	forSome(t, full, []string{node.V5First, node.V5Last}, func(_ *testing.T, l *lab) {
		l.wantNodesRun("utc", node.Opts{"pattern": "30 2 * * *", "utc": true})
		l.wantNodesRun("utc-tokyo", node.Opts{"pattern": "30 2 * * *", "utc": true, "tz": "Asia/Tokyo"})
		l.wantNodesRun("nth-day", node.Opts{"pattern": "0 9 * * 1", "nthDayOfWeek": 2})
		l.wantNodesRun("present", node.Opts{"pattern": "0 9 * * *", "currentDate": "2020-02-03T04:05:06Z"})
	})
}

// What was for repetitions changes nothing of a scheduler.
func TestOptionsOfRepetitionsChangeNothingOfASchedule(t *testing.T) {
	forVersions(t, full, func(_ *testing.T, l *lab) {
		l.wantNodesRun("own", node.Opts{"pattern": "0 9 * * *", "key": "mine", "jobId": "own"})
	})
}

// wantNodesRun checks that Takt plans the run of a schedule that Node plans.
func (l *lab) wantNodesRun(name string, repeat node.Opts) {
	l.t.Helper()
	want := nextRun(newLab(l.t, l.Version), name, repeat, func(l *lab) { l.Worker("mail", node.Steps{}) })
	got := nextRun(newLab(l.t, l.Version), name, repeat, func(l *lab) { l.work(work{handlers: handlers{"tick": echo}}) })
	if got != want {
		l.t.Errorf("%v: takt plans %s, node %s", repeat, got, want)
	}
}
