package inmemqueue_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

func annotate(t *testing.T, c ports.Consumer, notes ...domain.Note) {
	t.Helper()
	if lost, err := c.Annotate(t.Context(), notes); err != nil || len(lost) > 0 {
		t.Fatalf("Annotate = %v, %v, want the leases held", lost, err)
	}
}

func viewOf(t *testing.T, backend *inmemqueue.Backend, id domain.JobID) domain.JobView {
	t.Helper()
	views, err := backend.Jobs(t.Context(), "work", domain.JobFilter{ID: id})
	if err != nil || len(views) != 1 {
		t.Fatalf("Jobs(%s) = %v, %v, want the job", id, views, err)
	}
	return views[0]
}

func TestReceiptsExpireAgainAfterAllHaveExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := inmemqueue.New(inmemqueue.Config{})
		job := workJob(domain.JobOptions{})
		for day := range 4 {
			job.Receipt = "odd"
			if day%2 == 0 {
				job.Receipt = "even"
			}
			for i, want := range []domain.EnqueueStatus{domain.Accepted, domain.ReceiptKnown} {
				if got := enqueue(t, backend, job)[0].Status; got != want {
					t.Errorf("day %d: Enqueue(%d) with receipt %s = %s, want %s", day, i, job.Receipt, got, want)
				}
			}
			time.Sleep(domain.ReceiptLife)
		}
	})
}

func TestLogLinesThatAreDroppedTakeNoRoom(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{MaxBytes: 3000})
	enqueue(t, backend, workJob(domain.JobOptions{}))
	c := openConsumer(t, backend, time.Minute)
	lease := leaseOne(t, c)
	for range 5 {
		lines := strings.Split(strings.Repeat("x", 1000), "")
		annotate(t, c, domain.Note{Lease: lease.Ref(), Log: lines})
	}
	// One byte of payload and a thousand lines of one are left of 5001 bytes.
	job := workJob(domain.JobOptions{})
	job.Data = []byte(strings.Repeat("1", 1999))
	enqueue(t, backend, job)
}

func TestNotesAreTheQueuesOwn(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{})
	id := enqueue(t, backend, workJob(domain.JobOptions{}))[0].ID
	c := openConsumer(t, backend, time.Minute)
	lease := leaseOne(t, c)
	note := domain.Note{Lease: lease.Ref(), Data: []byte(`"data"`), Progress: []byte(`"half"`)}
	annotate(t, c, note)
	copy(note.Data, "changed")
	copy(note.Progress, "changed")
	view := viewOf(t, backend, id)
	if string(view.Job.Data) != `"data"` || string(view.Progress) != `"half"` {
		t.Errorf("Jobs = data %s, progress %s after the caller changed its bytes, want what was written", view.Job.Data, view.Progress)
	}
}

func TestACompletedJobHasNoReasonOfAnEarlierAttempt(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{})
	id := enqueue(t, backend, workJob(domain.JobOptions{Attempts: 2}))[0].ID
	c := openConsumer(t, backend, time.Minute)
	settle(t, c, leaseOne(t, c), domain.Outcome{Kind: domain.Retry, Reason: "boom", Stack: "main.go:1"})
	if view := viewOf(t, backend, id); view.Reason != "boom" || view.Stack != "main.go:1" {
		t.Errorf("Jobs = reason %q, stack %q, want those of the failed attempt", view.Reason, view.Stack)
	}
	settle(t, c, leaseOne(t, c), domain.Outcome{Kind: domain.Completed})
	if view := viewOf(t, backend, id); view.State != domain.StateCompleted || view.Reason != "" || view.Stack != "" {
		t.Errorf("Jobs = %s, reason %q, stack %q, want a completed job without either", view.State, view.Reason, view.Stack)
	}
}

// A job that an operator puts back is as it was enqueued, but for its count of
// attempts.
func TestARetriedJobHasNeitherTimesNorAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := inmemqueue.New(inmemqueue.Config{})
		id := enqueue(t, backend, workJob(domain.JobOptions{}))[0].ID
		fresh := viewOf(t, backend, id)
		c := openConsumer(t, backend, time.Minute)
		time.Sleep(time.Second)
		lease := leaseOne(t, c)
		time.Sleep(time.Second)
		settle(t, c, lease, domain.Outcome{Kind: domain.Failed, Reason: "boom", Stack: "main.go:1"})
		if view := viewOf(t, backend, id); view.FinishedAt.Sub(view.StartedAt) != time.Second || view.Reason != "boom" {
			t.Errorf("Jobs = started %s, finished %s, reason %q, want a failed attempt of a second", view.StartedAt, view.FinishedAt, view.Reason)
		}
		if _, err := backend.Apply(t.Context(), "work", domain.Operation{Kind: domain.OpRetry}); err != nil {
			t.Fatalf("Apply(retry) = %v, want no error", err)
		}
		fresh.Job.AttemptsMade, fresh.Job.AttemptsStarted = 1, 1
		if diff := cmp.Diff(fresh, viewOf(t, backend, id)); diff != "" {
			t.Errorf("Jobs after the retry (-want +got):\n%s", diff)
		}
	})
}
