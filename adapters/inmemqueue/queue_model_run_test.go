package inmemqueue_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// modelRun drives a queue and its model side by side.
type modelRun struct {
	*testing.T
	dice     *rand.Rand
	model    queueModel
	backend  *inmemqueue.Backend
	consumer ports.Consumer
}

const modelLease = 10 * time.Second

func TestQueueBehavesLikeItsModel(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run := modelRun{T: t, dice: rand.New(rand.NewPCG(seed, 1)), backend: inmemqueue.New(inmemqueue.Config{})}
				run.model.keys, run.model.following = map[string]modelKey{}, map[string]modelNext{}
				run.consumer = openConsumer(t, run.backend, modelLease)
				steps := []func(){run.enqueue, run.enqueue, run.lease, run.settle, run.settle, run.sleep, run.recover, run.operate}
				for range 400 {
					steps[run.dice.IntN(len(steps))]()
					run.model.advance()
					run.compare()
				}
			})
		})
	}
}

func (r *modelRun) options() domain.JobOptions {
	options := domain.JobOptions{LIFO: r.dice.IntN(4) == 0}
	if r.dice.IntN(3) == 0 {
		options.Priority = 1 + r.dice.IntN(3)
	}
	if r.dice.IntN(4) == 0 {
		options.Delay = time.Duration(r.dice.IntN(5)) * time.Second
	}
	if r.dice.IntN(4) == 0 {
		options.ID = domain.JobID(fmt.Sprintf("custom-%d", r.dice.IntN(20)))
	}
	if r.dice.IntN(4) == 0 {
		options.Deduplication = r.deduplication()
	}
	keep := []domain.Retention{{}, domain.KeepNone(), domain.KeepLast(3)}
	options.KeepCompleted, options.KeepFailed = keep[r.dice.IntN(3)], keep[r.dice.IntN(3)]
	return options
}

func (r *modelRun) deduplication() domain.Deduplication {
	modes := []domain.DeduplicationMode{
		domain.DedupDrop, domain.DedupDrop, domain.DedupExtend, domain.DedupReplace, domain.DedupDebounce,
		domain.DedupKeepLast, domain.DedupReplaceOrKeepLast, domain.DedupReschedule,
	}
	d := domain.Deduplication{Key: fmt.Sprintf("key-%d", r.dice.IntN(3)), Mode: modes[r.dice.IntN(len(modes))]}
	switch {
	case d.Mode.Extends():
		d.TTL = time.Duration(1+r.dice.IntN(3)) * 3 * time.Second
	case !d.Mode.KeepsLast():
		d.TTL = time.Duration(r.dice.IntN(3)) * 3 * time.Second
	}
	return d
}

func (r *modelRun) enqueue() {
	options := r.options()
	want := domain.EnqueueResult{Status: domain.Accepted, ID: options.ID}
	hold, held := r.model.keys[options.Deduplication.Key]
	kept := false
	switch {
	case options.ID != "" && r.model.find(options.ID) != nil:
		want.Status = domain.DuplicateID
	case held:
		var replaces bool
		if replaces, kept = r.model.deduplicate(options); !replaces {
			want = domain.EnqueueResult{Status: domain.Deduplicated, ID: hold.owner}
		}
	}
	results, err := r.backend.Enqueue(r.Context(), domain.NewJob{Queue: "work", Name: "job", Data: []byte("1"), Options: options})
	if err != nil {
		r.Fatalf("Enqueue = %v, want no error", err)
	}
	if want.ID == "" {
		want.ID = results[0].ID
	}
	if results[0] != want {
		r.Fatalf("Enqueue = %v, want %v", results[0], want)
	}
	if kept {
		r.model.following[options.Deduplication.Key] = modelNext{id: r.keptID(options), options: options}
	}
	if want.Status == domain.Accepted {
		r.added(want.ID, options)
	}
}

func (r *modelRun) added(id domain.JobID, options domain.JobOptions) {
	if r.model.find(id) != nil {
		r.Fatalf("id %s was assigned twice", id)
	}
	r.model.lastID = max(r.model.lastID, numberOf(id))
	r.model.add(id, options)
}

// keptID returns the id of a job that is kept: nobody is told one that the
// queue assigns, but it is the next number.
func (r *modelRun) keptID(options domain.JobOptions) domain.JobID {
	if options.ID != "" {
		return options.ID
	}
	r.model.lastID++
	return domain.JobID(strconv.Itoa(r.model.lastID))
}

// numberOf returns the number that an assigned id is, zero for others.
func numberOf(id domain.JobID) int {
	n, _ := strconv.Atoi(string(id))
	return n
}

func (r *modelRun) lease() { r.leased(nil, 1+r.dice.IntN(3)) }

// leased settles, and checks the leases that come with the reply.
func (r *modelRun) leased(settlements []domain.Settlement, limit int) {
	reply, err := r.consumer.Settle(r.Context(), settlements, limit)
	if err != nil {
		r.Fatalf("Settle = %v, want no error", err)
	}
	r.model.advance()
	for range limit {
		want := r.model.next()
		if want == nil {
			break
		}
		if len(reply.Leases) == 0 {
			r.Fatalf("leased nothing, want job %s", want.id)
		}
		got := reply.Leases[0]
		reply.Leases = reply.Leases[1:]
		want.started++
		if got.Job.ID != want.id || got.Job.AttemptsStarted != want.started || got.Job.AttemptsMade != want.made || got.Job.Crashes != want.crashes {
			r.Fatalf("leased job %+v, want %+v", got.Job, want)
		}
		if got.Token == want.token {
			r.Fatalf("job %s was leased twice with token %s", want.id, got.Token)
		}
		want.state, want.token, want.leaseEnd = domain.StateActive, got.Token, time.Now().Add(modelLease)
	}
	if len(reply.Leases) > 0 {
		r.Fatalf("leased %d jobs more than the model", len(reply.Leases))
	}
}

func (r *modelRun) settle() {
	active := r.model.inState(domain.StateActive)
	if len(active) == 0 {
		return
	}
	j := active[r.dice.IntN(len(active))]
	kind := domain.OutcomeKind(1 + r.dice.IntN(int(domain.Failed)))
	after := time.Duration(r.dice.IntN(4)) * time.Second
	lease := domain.LeaseRef{ID: j.id, Token: j.token}
	switch kind {
	case domain.Completed:
		r.model.finish(j, domain.StateCompleted, j.options.KeepCompleted)
	case domain.Failed:
		j.made++
		r.model.finish(j, domain.StateFailed, j.options.KeepFailed)
	case domain.Returned:
		r.model.line(j, true)
	case domain.RateLimited:
		r.model.line(j, true)
		if until := time.Now().Add(after); until.After(r.model.limitedUntil) {
			r.model.limitedUntil = until
		}
	case domain.WaitingForChildren:
	case domain.Retry, domain.Snoozed, domain.Parked:
		r.putOff(j, kind, after)
	}
	outcome := domain.Outcome{Kind: kind, After: after}
	r.leased([]domain.Settlement{{Lease: lease, Outcome: outcome}}, r.dice.IntN(2))
}

func (r *modelRun) putOff(j *modelJob, kind domain.OutcomeKind, after time.Duration) {
	if kind == domain.Retry {
		j.made++
	}
	state := domain.StateDelayed
	if kind == domain.Parked {
		state = domain.StateParked
	}
	if after == 0 {
		r.model.line(j, j.options.LIFO)
		return
	}
	r.model.delay(j, state, after)
}

func (r *modelRun) sleep() { time.Sleep(time.Duration(r.dice.IntN(3000)) * time.Millisecond) }

func (r *modelRun) recover() {
	recovered, err := r.consumer.Recover(r.Context())
	if err != nil {
		r.Fatalf("Recover = %v, want no error", err)
	}
	got := map[domain.JobID]domain.RecoverAction{}
	for _, back := range recovered {
		got[back.ID] = back.Action
	}
	want := map[domain.JobID]domain.RecoverAction{}
	r.model.advance()
	// The first to be recovered is in front of the others again.
	for _, back := range slices.Backward(recovered) {
		j := r.model.find(back.ID)
		if j == nil || j.state != domain.StateActive || j.leaseEnd.After(time.Now()) {
			r.Fatalf("recovered job %s, whose lease has not run out", back.ID)
		}
		j.crashes++
		want[j.id] = domain.Requeued
		if j.crashes > domain.MaxCrashes {
			want[j.id] = domain.Quarantined
			r.model.finish(j, domain.StateFailed, j.options.KeepFailed)
			continue
		}
		r.model.line(j, true)
	}
	for _, j := range r.model.inState(domain.StateActive) {
		if !j.leaseEnd.After(time.Now()) {
			r.Errorf("job %s was not recovered, its lease ran out", j.id)
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		r.Fatalf("recovered (-want +got):\n%s", diff)
	}
}

func (r *modelRun) operate() {
	op := domain.Operation{}
	m := &r.model
	m.advance()
	switch r.dice.IntN(5) {
	case 0:
		op.Kind, m.paused = domain.OpPause, true
	case 1, 2:
		op.Kind, m.paused = domain.OpResume, false
	case 3:
		op.Kind = domain.OpPromote
		due := m.inState(domain.StateDelayed, domain.StateParked)
		slices.SortFunc(due, func(a, b *modelJob) int { return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.place, b.place)) })
		for _, j := range due {
			m.line(j, false)
		}
	case 4:
		op.Kind = domain.OpRemove
		if len(m.jobs) > 0 {
			r.remove(&op, m.jobs[r.dice.IntN(len(m.jobs))])
		}
	}
	if _, err := r.backend.Apply(r.Context(), "work", op); err != nil {
		r.Fatalf("Apply(%s) = %v, want no error", op.Kind, err)
	}
}

func (r *modelRun) remove(op *domain.Operation, j *modelJob) {
	op.IDs = []domain.JobID{j.id}
	if j.state == domain.StateActive {
		return
	}
	if key := j.options.Deduplication.Key; key != "" && r.model.keys[key].owner == j.id {
		delete(r.model.keys, key)
		delete(r.model.following, key)
	}
	r.model.remove(j.id)
}

func (r *modelRun) compare() {
	r.Helper()
	want := map[domain.State]int{}
	for _, j := range r.model.jobs {
		want[j.state]++
	}
	counts, err := r.backend.Counts(r.Context(), "work")
	if err != nil {
		r.Fatalf("Counts = %v, want no error", err)
	}
	if diff := gocmp.Diff(want, counts[0].Jobs); diff != "" {
		r.Fatalf("counts (-want +got):\n%s", diff)
	}
}

func openConsumer(t testing.TB, backend *inmemqueue.Backend, lease time.Duration) ports.Consumer {
	t.Helper()
	c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "work", Worker: "test", Lease: lease})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	return c
}
