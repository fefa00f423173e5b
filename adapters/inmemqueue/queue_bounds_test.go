package inmemqueue_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

func TestFinishedJobsMakeRoomForBytes(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{MaxBytes: 1000})
	c := openConsumer(t, backend, time.Minute)
	job := workJob(domain.JobOptions{})
	job.Data = []byte(strings.Repeat("1", 300))
	for range 10 {
		enqueue(t, backend, job)
		settle(t, c, leaseOne(t, c), domain.Outcome{Kind: domain.Completed, Result: job.Data})
	}
	counts, err := backend.Counts(t.Context(), "work")
	if err != nil || counts[0].Jobs[domain.StateCompleted] != 1 {
		t.Errorf("Counts = %v, %v, want the one completed job that fits", counts, err)
	}
	enqueue(t, backend, job, job, job)
	if _, err := backend.Enqueue(t.Context(), job); !errors.Is(err, ports.ErrQueueFull) {
		t.Errorf("Enqueue of 300 bytes beside 900 of 1000 = %v, want %v", err, ports.ErrQueueFull)
	}
}

func TestReceiptsAndKeysHaveABound(t *testing.T) {
	const most = 10
	backend := inmemqueue.New(inmemqueue.Config{MaxJobs: most})
	c := openConsumer(t, backend, time.Minute)
	numbered := func(n int) domain.NewJob {
		job := workJob(domain.JobOptions{
			KeepCompleted: domain.KeepNone(),
			Deduplication: domain.Deduplication{Key: fmt.Sprint("key", n), TTL: time.Hour},
		})
		job.Receipt = fmt.Sprint("receipt", n)
		return job
	}
	status := func(job domain.NewJob) domain.EnqueueStatus {
		results, err := backend.Enqueue(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		if results[0].Status == domain.Accepted {
			settle(t, c, leaseOne(t, c), domain.Outcome{Kind: domain.Completed})
		}
		return results[0].Status
	}
	for n := range 3 * most {
		if got := status(numbered(n)); got != domain.Accepted {
			t.Fatalf("job %d is %s, want accepted", n, got)
		}
	}
	latest := numbered(3*most - 1)
	if got := status(latest); got != domain.ReceiptKnown {
		t.Errorf("the latest again is %s, want its receipt known", got)
	}
	if latest.Receipt = "another"; status(latest) != domain.Deduplicated {
		t.Error("the latest key again is let in, want it held")
	}
	if got := status(numbered(0)); got != domain.Accepted {
		t.Errorf("the first again is %s, want its receipt and key to have made room", got)
	}
}

func TestRemovedJobsAreFreed(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{MaxJobs: 1 << 20, MaxBytes: 1 << 30})
	c := openConsumer(t, backend, time.Minute)
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	for i := range 20_000 {
		options := domain.JobOptions{KeepCompleted: domain.KeepNone(), Priority: i % 3, Delay: time.Duration(i % 2), Deduplication: domain.Deduplication{Key: "key" + strings.Repeat("x", i%100), TTL: 1}}
		job := workJob(options)
		job.Data = bytes.Repeat([]byte("1"), 1000)
		enqueue(t, backend, job)
	}
	full := heap()
	for left := backend.Remaining()["work"]; left > 0; left = backend.Remaining()["work"] {
		leases, err := c.Reserve(t.Context(), 100)
		if err != nil {
			t.Fatalf("Reserve = %v, want jobs", err)
		}
		for _, lease := range leases {
			settle(t, c, lease, domain.Outcome{Kind: domain.Completed})
		}
	}
	after := heap()
	if grown := int64(after) - int64(before); full < before+20_000*1000/2 || grown > 1<<20 {
		t.Errorf("heap grew by %d bytes with the jobs and kept %d without them, want under 1 MiB kept", full-before, grown)
	}
	runtime.KeepAlive(backend)
}

func TestAnnotationsAreBounded(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{MaxPayload: 10})
	id := enqueue(t, backend, workJob(domain.JobOptions{}))[0].ID
	c := openConsumer(t, backend, time.Minute)
	ref := domain.LeaseRef{ID: id, Token: leaseOne(t, c).Token}
	_, err := c.Annotate(t.Context(), []domain.Note{{Lease: ref, Log: []string{"unwritten"}}, {Lease: ref, Data: []byte(`"01234567890"`)}})
	if !errors.Is(err, domain.ErrTooLarge) {
		t.Errorf("Annotate(13 of 10 bytes) = %v, want %v", err, domain.ErrTooLarge)
	}
	for i := range 1500 {
		if _, err := c.Annotate(t.Context(), []domain.Note{{Lease: ref, Log: []string{strings.Repeat("x", i)}}}); err != nil {
			t.Fatalf("Annotate = %v, want no error", err)
		}
	}
	views, err := backend.Jobs(t.Context(), "work", domain.JobFilter{ID: id})
	if err != nil || len(views[0].Log) != 1000 || len(views[0].Log[0]) != 500 {
		t.Errorf("Jobs = %d log lines, %v, want the newest 1000", len(views[0].Log), err)
	}
}

func TestFailedJobsMakeRoomAfterCompletedOnes(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{MaxJobs: 2})
	c := openConsumer(t, backend, time.Minute)
	for _, kind := range []domain.OutcomeKind{domain.Failed, domain.Completed} {
		enqueue(t, backend, workJob(domain.JobOptions{}))
		settle(t, c, leaseOne(t, c), domain.Outcome{Kind: kind})
	}
	for _, want := range []map[domain.State]int{
		{domain.StateFailed: 1, domain.StateWait: 1},
		{domain.StateWait: 2},
	} {
		enqueue(t, backend, workJob(domain.JobOptions{}))
		counts, err := backend.Counts(t.Context(), "work")
		if err != nil {
			t.Fatalf("Counts = %v, want no error", err)
		}
		if diff := cmp.Diff(want, counts[0].Jobs); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	}
}

func TestAFullQueueRefusesACallThatReachesSeveral(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{MaxJobs: 2})
	here, there := workJob(domain.JobOptions{}), workJob(domain.JobOptions{})
	there.Queue = "another"
	if _, err := backend.Enqueue(t.Context(), there, here, here, here); !errors.Is(err, ports.ErrQueueFull) {
		t.Errorf("Enqueue of three jobs where two fit = %v, want %v", err, ports.ErrQueueFull)
	}
	if remaining := backend.Remaining(); len(remaining) != 0 {
		t.Errorf("Remaining() = %v, want nothing added", remaining)
	}
	there.Receipt, here.Receipt = "same", "same"
	if got := enqueue(t, backend, there, here, here, here)[3].Status; got != domain.ReceiptKnown {
		t.Errorf("Enqueue of one receipt four times = %v, want receipt known", got)
	}
}
