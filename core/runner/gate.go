package runner

import (
	"context"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// gate lets callers through unless it is shut: while many claims are made, for
// what begins late counts, not what is written late. The zero value is open.
type gate struct {
	mu sync.Mutex
	// opens is closed when the gate is opened again; nil while it is open.
	opens chan struct{}
	// until is when patience with it ends.
	until time.Time
}

// shut shuts the gate for as long as patience lasts, and returns what opens it
// after a while. One caller at a time may have it shut; who comes in that while
// shuts it anew.
func (g *gate) shut(patience time.Duration) (openAfter func(time.Duration)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	opens := make(chan struct{})
	g.opens, g.until = opens, time.Now().Add(patience)
	open := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.opens == opens {
			g.opens = nil
		}
		close(opens)
	}
	return func(d time.Duration) {
		if d <= 0 {
			open()
			return
		}
		time.AfterFunc(d, open)
	}
}

// await returns when the gate is open, patience with it is over, or ctx has
// ended.
func (g *gate) await(ctx context.Context) { g.awaitUnless(ctx, nil) }

// awaitUnless is await for a caller that need not wait once urgent is received
// from.
func (g *gate) awaitUnless(ctx context.Context, urgent <-chan struct{}) {
	g.mu.Lock()
	opens, left := g.opens, time.Until(g.until)
	g.mu.Unlock()
	if opens == nil || left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-opens:
	case <-timer.C:
	case <-urgent:
	case <-ctx.Done():
	}
}

// writeEnds ends claims, after those that are being made.
func (s *scheduler) writeEnds(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	s.claiming.await(ctx)
	return s.ports.Ledger.Finish(ctx, results)
}
