package main

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// fedAtOnce are the jobs that are enqueued in one call.
const fedAtOnce = 500

// feed puts jobs on a queue as they are worked.
type feed struct {
	queue       ports.Enqueuer
	jobs, ahead int
	batch       []domain.NewJob
	sent        int
	done        atomic.Int64
	// room is told now and then that jobs were worked, and that all were.
	room chan struct{}
}

func newFeed(queue ports.Enqueuer, jobs, ahead int) *feed {
	job := domain.NewJob{Queue: benchQueue, Name: benchJob, Data: []byte(`{}`), Options: domain.JobOptions{KeepCompleted: domain.KeepNone()}}
	return &feed{
		queue: queue, jobs: jobs, ahead: ahead, batch: slices.Repeat([]domain.NewJob{job}, fedAtOnce), room: make(chan struct{}, 1),
	}
}

// worked notes that another job was worked.
func (f *feed) worked() {
	if n := f.done.Add(1); n%fedAtOnce == 0 || n == int64(f.jobs) {
		select {
		case f.room <- struct{}{}:
		default:
		}
	}
}

// run enqueues the jobs as there is room, and waits until all are worked.
func (f *feed) run(ctx context.Context) error {
	for {
		if err := f.fill(ctx); err != nil {
			return err
		}
		if f.done.Load() == int64(f.jobs) {
			return nil
		}
		select {
		case <-f.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fill enqueues jobs until there is no room for more.
func (f *feed) fill(ctx context.Context) error {
	for f.sent < f.jobs {
		some := f.batch[:min(fedAtOnce, f.jobs-f.sent)]
		if f.sent-int(f.done.Load()) > f.ahead-len(some) {
			return nil
		}
		if _, err := f.queue.Enqueue(ctx, some...); err != nil {
			return err
		}
		f.sent += len(some)
	}
	return nil
}
