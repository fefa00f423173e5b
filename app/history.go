package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// lateHistory is a history that is chosen while the worker starts: before, nobody
// knows whether storage has a schema. Until then it is unavailable.
type lateHistory struct {
	chosen atomic.Pointer[ports.RunStore]
}

var _ ports.RunStore = (*lateHistory)(nil)

func (h *lateHistory) choose(runs ports.RunStore) { h.chosen.Store(&runs) }

func (h *lateHistory) get() (ports.RunStore, error) {
	if chosen := h.chosen.Load(); chosen != nil {
		return *chosen, nil
	}
	return nil, fmt.Errorf("history: storage is not open yet: %w", ports.ErrUnavailable)
}

// Append implements [ports.RunStore].
func (h *lateHistory) Append(ctx context.Context, records []domain.Record) error {
	runs, err := h.get()
	if err != nil {
		return err
	}
	return runs.Append(ctx, records)
}

// Query implements [ports.RunStore].
func (h *lateHistory) Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error) {
	runs, err := h.get()
	if err != nil {
		return nil, err
	}
	return runs.Query(ctx, filter)
}

// Prune implements [ports.RunStore].
func (h *lateHistory) Prune(ctx context.Context, keep domain.RunRetention, limit int) (int, error) {
	runs, err := h.get()
	if err != nil {
		return 0, err
	}
	return runs.Prune(ctx, keep, limit)
}

// openHistory keeps history in the worker's own storage, if there is any, whatever
// else is there; otherwise in memory.
func (o *stores) openHistory(s Settings) {
	memory := inmemqueue.NewRunStore(s.HistorySize)
	if !s.hasStorage() {
		o.runs = memory
		return
	}
	late := &lateHistory{}
	o.runs = late
	o.chooseHistory = func() {
		own := o.databases.own.Load()
		if own == nil {
			late.choose(memory)
			return
		}
		runs := own.RunStore(s.Namespace)
		late.choose(runs)
		o.pruner = startPruner(runs, s, o.databases.log)
	}
}

// historyBounds are how much history is kept; a zero age bounds nothing.
type historyBounds struct {
	count int
	age   time.Duration
}

func (s Settings) historyKept() historyBounds {
	if !s.hasStorage() {
		return historyBounds{count: s.HistorySize}
	}
	return historyBounds{count: s.HistoryMaxRecords, age: s.HistoryMaxAge}
}

const (
	// pruneEvery is how often the history is pruned, pruneStep how many records one
	// step removes: it holds locks for some milliseconds.
	pruneEvery = time.Minute
	pruneStep  = 2000
)

// pruner keeps the history within its bounds. Every replica has one; the
// store lets one at a time remove something.
type pruner struct {
	runs    ports.RunStore
	age     time.Duration
	count   int
	log     *slog.Logger
	cancel  context.CancelFunc
	stopped chan struct{}
}

func startPruner(runs ports.RunStore, s Settings, log *slog.Logger) *pruner {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pruner{runs: runs, age: s.HistoryMaxAge, count: s.HistoryMaxRecords, log: log, cancel: cancel, stopped: make(chan struct{})}
	go p.run(ctx)
	return p
}

// stop waits for the step that is under way; on nil it does nothing.
func (p *pruner) stop() {
	if p != nil {
		p.cancel()
		<-p.stopped
	}
}

func (p *pruner) run(ctx context.Context) {
	defer close(p.stopped)
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		if err := p.prune(ctx); err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "history not pruned", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// prune removes what is not to be kept, step by step. Between two steps it
// rests for as long as one took, so that others come in.
func (p *pruner) prune(ctx context.Context) error {
	for removed := pruneStep; removed >= pruneStep; {
		began := time.Now()
		var err error
		removed, err = p.runs.Prune(ctx, domain.RunRetention{Since: began.Add(-p.age), Count: p.count}, pruneStep)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Since(began)):
		}
	}
	return nil
}
