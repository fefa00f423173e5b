package interop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

// operated returns Takt's handle of the queue mail.
func (l *lab) operated() *redisqueue.Queue {
	l.t.Helper()
	queue, err := l.producer().Queue("mail")
	if err != nil {
		l.t.Fatal(err)
	}
	return queue
}

// everyPlace is everyState with what it leaves out: a job under way, a parent
// that waits for its children, one of them on its queue, the owner of a
// deduplication key, and the run of a schedule.
func everyPlace(l *lab, s side) {
	l.t.Helper()
	everyState(l, s)
	l.Flow().Call("add", node.Opts{
		"name": "all", "queueName": "mail", "opts": node.Opts{"jobId": "parent"},
		"children": []any{
			node.Opts{"name": "part", "queueName": "other", "data": 1},
			node.Opts{"name": "part", "queueName": "mail", "data": 1, "opts": node.Opts{"delay": 7_200_000}},
		},
	})
	queue := l.Queue("mail")
	queue.Add("send", 1, node.Opts{"delay": 3_600_000, "deduplication": node.Opts{"id": "k"}})
	queue.Call("upsertJobScheduler", "beat", node.Opts{"every": 3_600_000, "startDate": time.Now().Add(time.Hour).UnixMilli()}, node.Opts{"name": "tick"})
	l.desk().next()
}

// bullNames are the names that Node's getters have for the states.
func bullNames() map[domain.State]string {
	return map[domain.State]string{
		domain.StateWait: "waiting", domain.StateActive: "active", domain.StateDelayed: "delayed", domain.StatePrioritized: "prioritized",
		domain.StateWaitingChildren: "waiting-children", domain.StateCompleted: "completed", domain.StateFailed: "failed",
	}
}

// shown is what both sides show of a job.
type shown struct {
	ID, Name, Data, State, Result, Reason, Worker, ParentKey, Scheduler, Dedup string
	Stacks                                                                     string
	Made, Started, Priority                                                    int
	Created, Processed, Finished, Delay                                        int64
}

func shownByTakt(view *redisqueue.JobView) shown {
	return shown{
		ID: string(view.Job.ID), Name: view.Job.Name, Data: string(view.Job.Data), State: bullNames()[view.State],
		Result: string(view.Result), Reason: view.Reason, Worker: view.Worker, ParentKey: view.ParentKey,
		Scheduler: view.Scheduler, Dedup: view.Deduplication, Made: view.Job.AttemptsMade, Started: view.Job.AttemptsStarted,
		Priority: view.Job.Options.Priority, Stacks: strings.Join(view.Stacks, "|"), Created: view.Job.CreatedAt.UnixMilli(),
		Processed: millisOf(view.StartedAt), Finished: millisOf(view.FinishedAt), Delay: view.Delay.Milliseconds(),
	}
}

func millisOf(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// bullJob is what Node shows of a job.
type bullJob struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	Data         node.Value `json:"data"`
	ReturnValue  node.Value `json:"returnvalue"`
	FailedReason string     `json:"failedReason"`
	ProcessedBy  string     `json:"processedBy"`
	ParentKey    string     `json:"parentKey"`
	Scheduler    string     `json:"repeatJobKey"`
	Dedup        string     `json:"deduplicationId"`
	Made         int        `json:"attemptsMade"`
	Started      int        `json:"attemptsStarted"`
	Priority     int        `json:"priority"`
	Stacks       []string   `json:"stacktrace"`
	Timestamp    int64      `json:"timestamp"`
	ProcessedOn  int64      `json:"processedOn"`
	FinishedOn   int64      `json:"finishedOn"`
	Delay        int64      `json:"delay"`
}

func shownByNode(job *bullJob, state string) shown {
	result := string(job.ReturnValue)
	if state != "completed" {
		result = ""
	}
	return shown{
		ID: job.ID, Name: job.Name, Data: string(job.Data), State: state, Result: result, Reason: job.FailedReason,
		Worker: job.ProcessedBy, ParentKey: job.ParentKey, Scheduler: job.Scheduler, Dedup: job.Dedup, Made: job.Made,
		Started: job.Started, Priority: job.Priority, Stacks: strings.Join(job.Stacks, "|"), Created: job.Timestamp,
		Processed: job.ProcessedOn, Finished: job.FinishedOn, Delay: job.Delay,
	}
}

func TestGetters_BothSidesListTheSameJobsInTheSameOrder(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		for _, s := range sides() {
			t.Run(s.name, func(t *testing.T) {
				l := newLab(t, l.Version)
				everyPlace(l, s)
				wantLinked(t, l)
				for state, name := range bullNames() {
					for _, backward := range []bool{false, true} {
						for _, page := range [][2]int{{0, 100}, {0, 1}, {1, 1}, {1, 5}} {
							wantSamePage(t, l, state, name, backward, page)
						}
					}
				}
			})
		}
	})
}

// wantLinked checks that delayed jobs have the members that tell where a job
// comes from: who lists them must not take one for nothing.
func wantLinked(t *testing.T, l *lab) {
	t.Helper()
	views, err := l.operated().Jobs(t.Context(), redisqueue.JobQuery{States: []domain.State{domain.StateDelayed}, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var parents, keys, schedulers []string
	for i := range views {
		parents, keys, schedulers = append(parents, views[i].ParentKey), append(keys, views[i].Deduplication), append(schedulers, views[i].Scheduler)
	}
	if !slices.Contains(parents, key("parent")) || !slices.Contains(keys, "k") || !slices.Contains(schedulers, "beat") {
		t.Errorf("the delayed jobs have the parents %q, keys %q and schedulers %q, want %s, k and beat among them", parents, keys, schedulers, key("parent"))
	}
}

// wantSamePage checks that both sides list the same jobs behind the first
// page[0], up to page[1].
func wantSamePage(t *testing.T, l *lab, state domain.State, name string, backward bool, page [2]int) {
	t.Helper()
	var want, got []shown
	for _, job := range node.Decode[[]bullJob](t, l.Queue("mail").Call("getJobs", []string{name}, page[0], page[0]+page[1]-1, !backward)) {
		want = append(want, shownByNode(&job, name))
	}
	query := redisqueue.JobQuery{States: []domain.State{state}, Offset: page[0], Limit: page[1], Backward: backward}
	views, err := l.operated().Jobs(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	for i := range views {
		got = append(got, shownByTakt(&views[i]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, page %v, backward %t (-node +takt):\n%s", name, page, backward, diff)
	}
}

func TestGetters_BothSidesCountTheSame(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		everyPlace(l, sides()[0])
		for _, paused := range []bool{false, true} {
			queue, ours := l.Queue("mail"), l.operated()
			if paused {
				queue.Call("pause")
			}
			counts, err := ours.Counts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			nodes := queue.Counts()
			want := redisqueue.Counts{
				Wait: nodes["waiting"], Paused: nodes["paused"], Prioritized: nodes["prioritized"], Delayed: nodes["delayed"],
				Active: nodes["active"], WaitingChildren: nodes["waiting-children"], Completed: nodes["completed"], Failed: nodes["failed"],
			}
			if counts != want {
				t.Errorf("Counts = %+v, want node's %+v", counts, want)
			}
			if want := node.Decode[int](t, queue.Call("count")); counts.Ahead() != want {
				t.Errorf("Ahead = %d, want node's count %d", counts.Ahead(), want)
			}
			if want := node.Decode[int](t, queue.Call("getJobCountByTypes", "waiting", "failed")); counts.Of(domain.StateWait, domain.StateFailed) != want {
				t.Errorf("Of(wait, failed) = %d, want node's %d", counts.Of(domain.StateWait, domain.StateFailed), want)
			}
			wantSamePriorities(t, l, ours)
			wantSameText(t, l, ours)
		}
	})
}

func wantSamePriorities(t *testing.T, l *lab, ours *redisqueue.Queue) {
	t.Helper()
	got, err := ours.CountsByPriority(t.Context(), 0, 1, 3, domain.MaxPriority)
	if err != nil {
		t.Fatal(err)
	}
	want := node.Decode[map[int]int](t, l.Queue("mail").Call("getCountsPerPriority", []int{0, 1, 3, domain.MaxPriority}))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts by priority (-node +takt):\n%s", diff)
	}
}

// wantSameText compares what both sides export for Prometheus; 5.70.1 does not
// tell of ended jobs, and does not escape.
func wantSameText(t *testing.T, l *lab, ours *redisqueue.Queue) {
	t.Helper()
	labels, given := map[string]string{"env": "prod"}, node.Opts{"env": "prod"}
	if l.Version != node.V5First {
		labels["env"], given["env"] = "a\"b\n\\", "a\"b\n\\"
	}
	var got strings.Builder
	if err := ours.WritePrometheus(t.Context(), &got, labels); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSuffix(node.Decode[string](t, l.Queue("mail").Call("exportPrometheusMetrics", given)), "\n")
	if l.Version == node.V5First {
		if !strings.HasPrefix(got.String(), want) {
			t.Errorf("metrics:\n%s\nwant node's first:\n%s", got.String(), want)
		}
		return
	}
	if diff := cmp.Diff(want+"\n", got.String()); diff != "" {
		t.Errorf("metrics (-node +takt):\n%s", diff)
	}
}

func TestGetters_BothSidesKnowTheStateAndTheEndOfAJob(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		everyPlace(l, sides()[1])
		queue, ours := l.Queue("mail"), l.operated()
		for _, id := range append(queue.IDs(), "parent") {
			state, err := ours.State(t.Context(), domain.JobID(id))
			if want := queue.State(id); err != nil || bullNames()[state] != want {
				t.Errorf("State(%s) = %s, %v, want node's %s", id, state, err, want)
			}
			ended, err := ours.Ended(t.Context(), domain.JobID(id))
			if err != nil {
				t.Fatal(err)
			}
			for method, want := range map[string]bool{"isCompleted": ended.Finished && !ended.Failed, "isFailed": ended.Failed, "isDelayed": state == domain.StateDelayed} {
				if got := node.Decode[bool](t, queue.OnJob(id, method)); got != want {
					t.Errorf("%s of job %s = %t, want takt's %t", method, id, got, want)
				}
			}
		}
	})
}

func TestCheck49_BothSidesReadTheLogInPages(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, ours := l.Queue("mail"), l.operated()
		id := l.put("send", `1`)
		for i := range 5 {
			queue.OnJob(id, "log", fmt.Sprintf("line %d", i))
		}
		for _, page := range []redisqueue.LogPage{{}, {Offset: 1, Limit: 2}, {Newest: true}, {Offset: 1, Limit: 2, Newest: true}, {Offset: 7}} {
			end := -1
			if page.Limit > 0 {
				end = page.Offset + page.Limit - 1
			}
			log, err := ours.Log(t.Context(), domain.JobID(id), page)
			if err != nil {
				t.Fatal(err)
			}
			want := node.Decode[struct {
				Logs  []string `json:"logs"`
				Count int      `json:"count"`
			}](t, queue.Call("getJobLogs", id, page.Offset, end, !page.Newest))
			if fmt.Sprint(log.Lines) != fmt.Sprint(want.Logs) || log.Count != want.Count {
				t.Errorf("Log(%+v) = %+v, want node's %+v", page, log, want)
			}
		}
	})
}

func TestCheck72_TaktListsTheWorkersThatNodeLists(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, ours := l.Queue("mail"), l.operated()
		l.Events("mail")
		l.Worker("mail", node.Steps{}, node.Opts{"name": "theirs"})
		l.Worker("mail", node.Steps{})
		l.work(work{name: "ours", handlers: handlers{"send": echo}})
		await(t, "the workers to block", func() bool { return node.Decode[int](t, queue.Call("getWorkersCount")) == 3 })
		workers, err := ours.Workers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, worker := range workers {
			names[worker.Name] = true
		}
		if len(workers) != 3 || !names["theirs"] || !names["ours"] || !names[""] {
			t.Errorf("Workers = %+v, want theirs, ours and one without a name", workers)
		}
		readers, err := ours.EventReaders(t.Context())
		if err != nil || len(readers) != 1 {
			t.Errorf("EventReaders = %+v, %v, want one", readers, err)
		}
	})
}

func TestCheck71_BothSidesReadTheMetrics(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.workInMinutes()
		for _, set := range finishedSets() {
			overMinutes(t, l, set)
			for _, page := range [][2]int{{0, 0}, {0, 2}, {1, 2}, {3, 5}} {
				l.wantNodesMetrics(set, page[0], page[1])
			}
		}
	})
}

// wantNodesMetrics checks that Takt reads of the set's metrics what Node does.
func (l *lab) wantNodesMetrics(set string, from, limit int) {
	l.t.Helper()
	end := -1
	if limit > 0 {
		end = from + limit - 1
	}
	want := node.Decode[struct {
		Meta  struct{ Count, PrevTS, PrevCount int64 }
		Data  []int
		Count int
	}](l.t, l.Queue("mail").Call("getMetrics", set, from, end))
	got, err := l.operated().Metrics(l.t.Context(), domain.State(set), from, limit)
	if err != nil {
		l.t.Fatal(err)
	}
	same := int64(got.Count) == want.Meta.Count && millisOf(got.Latest) == want.Meta.PrevTS && int64(got.LatestCount) == want.Meta.PrevCount
	if !same || got.Kept != want.Count || fmt.Sprint(got.Points) != fmt.Sprint(want.Data) {
		l.t.Errorf("Metrics(%s, %d, %d) = %+v, want node's %+v", set, from, limit, got, want)
	}
}

func TestGetters_BothSidesReadTheSettings(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, ours := l.Queue("mail", node.Opts{"streams": node.Opts{"events": node.Opts{"maxLen": 77}}}), l.operated()
		queue.Call("setGlobalConcurrency", 1)
		queue.Call("setGlobalRateLimit", 5, 1500)
		meta, err := ours.Meta(t.Context())
		want := redisqueue.Meta{
			Version: "bullmq:" + l.Version, MaxEvents: 77, Concurrency: 1, Limit: redisqueue.RateLimit{Max: 5, Per: 1500 * time.Millisecond},
		}
		if err != nil || meta != want {
			t.Errorf("Meta = %+v, %v, want %+v", meta, err, want)
		}
		if got := node.Decode[string](t, queue.Call("getVersion")); got != meta.Version {
			t.Errorf("getVersion = %s, want %s", got, meta.Version)
		}
		for _, active := range []bool{false, true} {
			if active {
				l.put("send", `1`)
				l.desk().next()
				queue.Call("pause")
			}
			paused, err := ours.IsPaused(t.Context())
			if want := node.Decode[bool](t, queue.Call("isPaused")); err != nil || paused != want {
				t.Errorf("IsPaused = %t, %v, want node's %t", paused, err, want)
			}
			maxed, err := ours.IsMaxed(t.Context())
			if want := node.Decode[bool](t, queue.Call("isMaxed")); err != nil || maxed != want {
				t.Errorf("IsMaxed = %t, %v, want node's %t", maxed, err, want)
			}
		}
	})
}
