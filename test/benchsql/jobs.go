package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/test/figures"
)

const (
	// jobsAtOnce are enqueued in one call; jobsAhead may wait on the queue.
	jobsAtOnce, jobsAhead = 50, 5000
	jobConcurrency        = 100
)

// jobLength is how long each job computes on an idle processor.
type jobLength time.Duration

func (l jobLength) String() string {
	return fmt.Sprintf("jobs of %d µs", time.Duration(l).Microseconds())
}

// jobLengths are those of jobs that do next to nothing, and of jobs that ask a
// server something.
func jobLengths() []jobLength {
	return []jobLength{jobLength(100 * time.Microsecond), jobLength(time.Millisecond)}
}

// jobsWithHistory measures how much longer jobs take with history than
// without: in turns, from the first job to the last record. They keep all
// processors busy, so what the writes of history take is missing for them: the
// server's part, too, which is no part of our own processor time.
func (b *bench) jobsWithHistory(ctx context.Context) (taken []figures.Figure, err error) {
	for _, length := range jobLengths() {
		of, err := b.jobsOf(ctx, length)
		if err != nil {
			return nil, err
		}
		taken = append(taken, of...)
	}
	return taken, nil
}

func (b *bench) jobsOf(ctx context.Context, length jobLength) (taken []figures.Figure, err error) {
	shortest := jobLengths()[0]
	off := jobRun{jobs: b.ticks * int(shortest) / int(length), steps: stepsOf(time.Duration(length))}
	if _, err := off.measure(ctx); err != nil { // warms up
		return nil, err
	}
	var without []float64
	for _, on := range []struct {
		name string
		open opener
	}{{"SQLite", b.sqlite}, {"Postgres", b.postgres}} {
		c, err := b.compare(ctx, off, on.open)
		if err != nil {
			return nil, err
		}
		without = append(without, c.without...)
		taken = append(
			taken,
			figures.New(length.String()+" with history in "+on.name+", slower by", "%", c.slower, figures.AtMost(5)),
			figures.New("their processor time in this process, more by", "%", c.costlier, nil),
			figures.New("their outcomes that are kept", "%", c.kept, nil),
		)
	}
	return append(taken, figures.New(length.String()+" without history", "jobs/s", without, nil)), nil
}

// comparison is what the rounds yielded: percentages, and the rates without
// history.
type comparison struct {
	slower, costlier, kept, without []float64
}

// compare runs jobs without and with history in turns, each of them first in
// every second round.
func (b *bench) compare(ctx context.Context, off jobRun, open opener) (c comparison, err error) {
	db, err := open(ctx, "jobs")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	on := off
	on.runs = db.RunStore("")
	if _, err := on.measure(ctx); err != nil { // makes plans
		return c, err
	}
	for round := range b.rounds {
		before, err := recordsIn(ctx, db)
		if err != nil {
			return c, err
		}
		took, err := inTurns(ctx, off, on, round%2 == 1)
		if err != nil {
			return c, err
		}
		after, err := recordsIn(ctx, db)
		if err != nil {
			return c, err
		}
		c.slower = append(c.slower, more(took[0].elapsed, took[1].elapsed))
		c.costlier = append(c.costlier, more(took[0].processor, took[1].processor))
		c.kept = append(c.kept, 100*float64(after-before)/float64(off.jobs))
		c.without = append(c.without, float64(off.jobs)/took[0].elapsed.Seconds())
	}
	return c, nil
}

// inTurns measures both, the second one first if reversed.
func inTurns(ctx context.Context, first, second jobRun, reversed bool) (took [2]jobCost, err error) {
	turns, order := [2]jobRun{first, second}, []int{0, 1}
	if reversed {
		slices.Reverse(order)
	}
	for _, i := range order {
		if took[i], err = turns[i].measure(ctx); err != nil {
			return took, err
		}
	}
	return took, nil
}

// more returns by how many percent the second is longer than the first.
func more(first, second time.Duration) float64 {
	return 100 * (float64(second)/float64(first) - 1)
}

// recordsIn counts the records of all namespaces: that their IDs grow does not
// tell how many there are.
func recordsIn(ctx context.Context, db *storage.DB) (count int, err error) {
	err = db.Bun().NewSelect().TableExpr("history").ColumnExpr("count(*)").Scan(ctx, &count)
	return count, err
}

// jobRun is some jobs on a queue in memory.
type jobRun struct {
	jobs, steps int
	// runs is nil without history.
	runs ports.RunStore
}

// jobCost is what the jobs took, and their records.
type jobCost struct {
	elapsed, processor time.Duration
}

// measure works the jobs.
func (j jobRun) measure(ctx context.Context) (cost jobCost, err error) {
	var worked atomic.Int64
	room := make(chan struct{}, 1)
	handler := runner.Handle(func(context.Context, runner.Job[struct{}]) (any, error) {
		if compute(j.steps) == 0 {
			return nil, errors.New("a xorshift came to zero")
		}
		if n := worked.Add(1); n%jobsAtOnce == 0 || n == int64(j.jobs) {
			select {
			case room <- struct{}{}:
			default:
			}
		}
		return nil, nil
	})
	queue := inmemqueue.New(inmemqueue.Config{})
	r, err := runner.New(runner.Config{Replica: "bench"}, runner.Ports{
		OpenConsumer: queue.OpenConsumer, Runs: j.runs, Log: slog.New(slog.DiscardHandler),
		Now: time.Now, Dice: func() float64 { return 0 },
	}, nil, []runner.Queue{{Name: benchQueue, Concurrency: jobConcurrency, Routes: map[string]runner.Route{benchJob: {Handler: handler}}}})
	if err != nil {
		return cost, errors.Join(err, queue.Close())
	}
	if err := r.Start(ctx); err != nil {
		return cost, errors.Join(err, queue.Close())
	}
	used, err := figures.OwnCPU()
	began := time.Now()
	err = errors.Join(err, j.feed(ctx, queue, &worked, room))
	r.Stop(context.WithoutCancel(ctx), runner.StopBudget{Drain: time.Minute, Cancel: time.Second, Release: time.Minute})
	cost.elapsed = time.Since(began)
	usedNow, err2 := figures.OwnCPU()
	cost.processor = usedNow - used
	return cost, errors.Join(err, err2, queue.Close())
}

// feed enqueues the jobs and waits until all are worked.
func (j jobRun) feed(ctx context.Context, queue ports.Enqueuer, worked *atomic.Int64, room <-chan struct{}) error {
	batch := make([]domain.NewJob, jobsAtOnce)
	for i := range batch {
		batch[i] = domain.NewJob{Queue: benchQueue, Name: benchJob, Data: []byte(`{}`), Options: domain.JobOptions{KeepCompleted: domain.KeepNone()}}
	}
	for sent := 0; sent < j.jobs || worked.Load() < int64(j.jobs); {
		if sent < j.jobs && int64(sent)-worked.Load() <= jobsAhead {
			some := batch[:min(jobsAtOnce, j.jobs-sent)]
			if _, err := queue.Enqueue(ctx, some...); err != nil {
				return err
			}
			sent += len(some)
			continue
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// compute does so many steps of a xorshift, which never comes to zero. The work
// is counted, not timed: what history takes of the processors is then not
// taken for work of the job.
func compute(steps int) uint64 {
	x := uint64(1)
	for range steps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// stepsOf returns how many steps take d when nothing disturbs them.
func stepsOf(d time.Duration) int {
	const steps, attempts = 100_000, 50
	fastest := time.Hour
	for range attempts {
		began := time.Now()
		if compute(steps) == 0 {
			break
		}
		fastest = min(fastest, time.Since(began))
	}
	return max(1, int(steps*float64(d)/float64(fastest)))
}
