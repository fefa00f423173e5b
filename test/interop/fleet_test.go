package interop_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

// fleet is the work of one run of a mixed fleet: Node 5, Node 6 and Takt on
// one queue. Names of jobs say what becomes of them.
type fleet struct {
	t *testing.T
	l *lab
	// jobs is about how many there are in all.
	jobs    int
	records *records
	// want is how often a job of the id is started, and whether it completes.
	want map[string]fate
	// parents are the ids of flows with those of their children.
	parents map[string][]string
}

type fate struct {
	starts    int
	completes bool
}

var (
	once   = fate{1, true}
	flaky  = fate{2, true}
	doomed = fate{2, false}
)

func TestMixedFleet_FinishesEachJobOnce(t *testing.T) {
	t.Parallel()
	leaveOut(t, false)
	l := newLab(t, node.V5Last)
	f := &fleet{t: t, l: l, jobs: 1500, records: newRecords(t), want: map[string]fate{}, parents: map[string][]string{}}
	if everything() {
		f.jobs = 50_000
	}
	f.startWorkers()
	f.produce(l.Client)
	f.produce(l.as(node.V6))
	f.produceByTakt()
	f.awaitEnd()
	f.checkRecords()
	f.checkFlows()
	f.checkCounts()
}

// startWorkers starts a worker of each kind, those of Node in processes of
// their own.
func (f *fleet) startWorkers() {
	f.t.Helper()
	for _, version := range []string{node.V5Last, node.V6} {
		agent, err := node.Start(version)
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(agent.Stop)
		start, end := node.Record(f.records.path, "start"), node.Record(f.records.path, "end")
		node.Connect(f.t, agent, f.l.server.Addr).QuietWorker("mail", node.Steps{
			"*":      {start, end, node.Echo()},
			"flaky":  {start, node.FailTimes(1, "flaky"), end},
			"doomed": {start, node.Fail("doomed")},
		}, node.Opts{"concurrency": 10})
	}
	end := f.handler(func(*domain.Job) error { return nil })
	f.l.work(work{concurrency: 10, handlers: handlers{
		"plain": end, "late": end, "ranked": end, "parent": end, "child": end,
		"flaky": f.handler(func(job *domain.Job) error {
			if job.AttemptsMade < 1 {
				return errBusy
			}
			return nil
		}),
		"doomed": f.handler(func(*domain.Job) error { return errBusy }),
	}})
}

func (f *fleet) handler(outcome func(*domain.Job) error) func(context.Context, *domain.Job) ([]byte, error) {
	return func(_ context.Context, job *domain.Job) ([]byte, error) {
		if err := f.records.write(job, "start"); err != nil {
			return nil, err
		}
		if err := outcome(job); err != nil {
			return nil, err
		}
		return job.Data, f.records.write(job, "end")
	}
}

// produce adds four tenths of the jobs through the client, half of them in flows.
func (f *fleet) produce(client *node.Client) {
	f.t.Helper()
	const chunk = 200
	queue, flow := client.Queue("mail"), client.Flow()
	for made := 0; made < f.jobs/5; made += chunk {
		jobs := make([]node.BulkJob, chunk)
		for i := range jobs {
			jobs[i] = f.mixed(made + i)
		}
		for i, job := range queue.AddBulk(jobs...) {
			f.want[job.ID] = fateOf(jobs[i].Name)
		}
		f.addFlows(flow, chunk/4)
	}
}

// mixed returns the job of the number: one kind after the other.
func (f *fleet) mixed(i int) node.BulkJob {
	switch i % 8 {
	case 0, 1:
		return node.BulkJob{Name: "flaky", Data: i, Opts: node.Opts{"attempts": 3}}
	case 2:
		return node.BulkJob{Name: "doomed", Data: i, Opts: node.Opts{"attempts": 2, "backoff": node.Opts{"type": "fixed", "delay": 20}}}
	case 3:
		return node.BulkJob{Name: "late", Data: i, Opts: node.Opts{"delay": 1 + i%1000}}
	case 4, 5:
		return node.BulkJob{Name: "ranked", Data: i, Opts: node.Opts{"priority": 1 + i%7}}
	}
	return node.BulkJob{Name: "plain", Data: i}
}

func fateOf(name string) fate {
	switch name {
	case "flaky":
		return flaky
	case "doomed":
		return doomed
	}
	return once
}

// addFlows adds n flows of a parent and three children.
func (f *fleet) addFlows(flow *node.Object, n int) {
	f.t.Helper()
	one := node.Opts{"name": "child", "queueName": "mail", "data": 1}
	late := node.Opts{"name": "child", "queueName": "mail", "data": 2, "opts": node.Opts{"delay": 100}}
	flaky := node.Opts{"name": "flaky", "queueName": "mail", "data": 3, "opts": node.Opts{"attempts": 2}}
	trees := make([]node.Opts, n)
	for i := range trees {
		trees[i] = node.Opts{"name": "parent", "queueName": "mail", "data": i, "children": []node.Opts{one, late, flaky}}
	}
	type tree struct {
		Job      node.Job `json:"job"`
		Children []tree   `json:"children"`
	}
	for _, added := range node.Decode[[]tree](f.t, flow.Call("addBulk", trees)) {
		f.want[added.Job.ID] = once
		for _, child := range added.Children {
			f.want[child.Job.ID] = fateOf(child.Job.Name)
			f.parents[added.Job.ID] = append(f.parents[added.Job.ID], child.Job.ID)
		}
	}
}

// produceByTakt adds a fifth of the jobs.
func (f *fleet) produceByTakt() {
	f.t.Helper()
	const chunk = 100
	for made := 0; made < f.jobs/5; made += chunk {
		jobs := make([]domain.NewJob, chunk)
		for i := range jobs {
			options := domain.JobOptions{}
			name := []string{"plain", "ranked", "flaky"}[i%3]
			switch name {
			case "ranked":
				options.Priority = 1 + i%5
			case "flaky":
				options.Attempts = 2
			}
			jobs[i] = job(name, fmt.Sprint(i), options)
		}
		for i, result := range f.l.putAll(jobs...) {
			f.want[string(result.ID)] = fateOf(jobs[i].Name)
		}
	}
}

// awaitEnd waits until all jobs are finished, as long as there is progress.
func (f *fleet) awaitEnd() {
	f.t.Helper()
	finished := int64(0)
	for int(finished) < len(f.want) {
		before := finished
		await(f.t, fmt.Sprintf("more than %d of %d jobs to be finished", before, len(f.want)), func() bool {
			ctx := f.t.Context()
			finished = must(f.t, f.l.redis.ZCard(ctx, key("completed"))) + must(f.t, f.l.redis.ZCard(ctx, key("failed")))
			return finished > before
		})
	}
}

// checkRecords checks what the handlers themselves wrote down.
func (f *fleet) checkRecords() {
	f.t.Helper()
	type attempt struct {
		id     string
		number int
	}
	starts, ends, by := map[string]int{}, map[string]int{}, map[string]int{}
	seen := map[attempt]string{}
	for _, start := range f.records.read(f.t, "start") {
		starts[start.ID]++
		by[start.By]++
		this := attempt{start.ID, start.Attempt}
		if first := seen[this]; first != "" {
			f.t.Errorf("attempt %d of job %s was started by %s and by %s", start.Attempt, start.ID, first, start.By)
		}
		seen[this] = start.By
	}
	for _, end := range f.records.read(f.t, "end") {
		ends[end.ID]++
	}
	for id, want := range f.want {
		got := fate{starts[id], ends[id] == 1}
		if got != want || ends[id] > 1 {
			f.t.Errorf("job %s: %d starts, %d ends, want %+v", id, starts[id], ends[id], want)
		}
	}
	if len(starts) != len(f.want) {
		f.t.Errorf("%d jobs were started, want %d", len(starts), len(f.want))
	}
	f.t.Logf("%d jobs in %d attempts: %v", len(f.want), len(seen), by)
	if len(by) != 3 {
		f.t.Errorf("starts by worker = %v, want all three to have some", by)
	}
}

// checkFlows checks that no parent began before its children had ended.
func (f *fleet) checkFlows() {
	f.t.Helper()
	ended := map[string]int64{}
	for _, end := range f.records.read(f.t, "end") {
		ended[end.ID] = end.At
	}
	for _, start := range f.records.read(f.t, "start") {
		for _, child := range f.parents[start.ID] {
			if ended[child] == 0 || ended[child] > start.At {
				f.t.Errorf("parent %s began at %d, its child %s ended at %d", start.ID, start.At, child, ended[child])
			}
		}
	}
}

// checkCounts checks that all getters see the same.
func (f *fleet) checkCounts() {
	f.t.Helper()
	want := map[string]int{"completed": 0, "failed": 0, "waiting": 0, "active": 0, "delayed": 0, "prioritized": 0, "waiting-children": 0}
	for _, fate := range f.want {
		if fate.completes {
			want["completed"]++
		} else {
			want["failed"]++
		}
	}
	for _, version := range node.Versions() {
		counts := f.l.as(version).Queue("mail").Counts()
		for state, n := range want {
			if counts[state] != n {
				f.t.Errorf("node %s counts %v, want %v", version, counts, want)
				break
			}
		}
	}
	counts, err := f.l.backend(func(*redisqueue.Config) {}).Counts(f.t.Context(), "mail")
	if err != nil {
		f.t.Fatal(err)
	}
	for state, n := range counts[0].Jobs {
		if wanted := want[string(state)]; n != wanted {
			f.t.Errorf("takt counts %d jobs in %s, want %d", n, state, wanted)
		}
	}
}
