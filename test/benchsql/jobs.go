package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taktwork/takt/test/figures"
)

// jobLoad is what is worked with and without history.
type jobLoad struct {
	// length is how long each job computes on an idle processor.
	length time.Duration
	// jobs are those of a turn, if there are 100,000 ticks in a round; pairs are
	// the pairs of turns of a round.
	jobs, pairs int
	goal        *figures.Goal
}

func (l jobLoad) String() string { return fmt.Sprintf("jobs of %d µs", l.length.Microseconds()) }

// jobLoads are jobs that do next to nothing, and jobs that ask a server something.
// Their turns take some 3 and 0.5 s. The records that are left when a turn ends, a few
// thousand and a few hundred of them, are written while nothing else is done: in
// turns much shorter than these they would count for too much.
func jobLoads() []jobLoad {
	return []jobLoad{
		{length: 100 * time.Microsecond, jobs: 50_000, pairs: 2, goal: figures.AtMost(5)},
		{length: time.Millisecond, jobs: 1000, pairs: 8, goal: figures.AtMost(5)},
	}
}

// jobsInMemory measures how much longer jobs of a queue in memory take with
// history than without.
func (b *bench) jobsInMemory(ctx context.Context) ([]figures.Figure, error) {
	return b.jobsWithHistory(ctx, inMemory(), jobLoads(), b.server.PID())
}

// jobsInRedis measures the same of a queue in Redis, and how much less a worker
// reaches whose jobs do nothing.
func (b *bench) jobsInRedis(ctx context.Context) (taken []figures.Figure, err error) {
	server, err := startRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	loads := append([]jobLoad{{jobs: 150_000, pairs: 2}}, jobLoads()...)
	return b.jobsWithHistory(ctx, inRedis(server), loads, b.server.PID(), server.cmd.Process.Pid)
}

// jobsWithHistory measures from the first job to the last record. The jobs keep
// all processors busy, so what the writes of history take is missing for them: the
// servers' part, too.
func (b *bench) jobsWithHistory(ctx context.Context, queue jobQueue, loads []jobLoad, servers ...int) (taken []figures.Figure, err error) {
	for _, load := range loads {
		off := jobRun{queue: queue, servers: servers, jobs: max(1, load.jobs*b.ticks/100_000), steps: stepsOf(load.length)}
		of, err := b.jobsOf(ctx, load, off)
		if err != nil {
			return nil, err
		}
		taken = append(taken, of...)
	}
	return taken, nil
}

func (b *bench) jobsOf(ctx context.Context, load jobLoad, off jobRun) (taken []figures.Figure, err error) {
	if _, err := off.measure(ctx); err != nil { // warms up
		return nil, err
	}
	var without []float64
	for _, on := range []struct {
		name string
		open opener
	}{{"SQLite", b.sqlite}, {"Postgres", b.postgres}} {
		c, err := b.compare(ctx, load.pairs, off, on.open)
		if err != nil {
			return nil, err
		}
		without = append(without, c.without...)
		taken = append(
			taken,
			figures.New(load.String()+" with history in "+on.name+", slower by", "%", c.slower, load.goal),
			figures.New("their processor time in this process, more by", "%", c.costlier, nil),
			figures.New("the same, that of the servers included", "%", c.costlierInAll, nil),
			figures.New("their outcomes that are kept", "%", c.kept, nil),
		)
	}
	return append(taken, figures.New(load.String()+" without history", "jobs/s", without, nil)), nil
}
