package takttest

import (
	"context"
	"slices"
	"sync"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// Notes keeps what a handler writes about its job while a test calls it
// directly, without a worker. It is safe for concurrent use.
type Notes struct {
	mu             sync.Mutex
	progress, data []byte
	log            []string
}

// Handling returns a context for a handler that a test calls directly:
// [app.Progress], [app.LogLine] and [app.UpdateData] write into the notes. With
// a worker none is needed; [Worker.Jobs] tells what was written then.
func Handling(ctx context.Context) (context.Context, *Notes) {
	notes := &Notes{}
	return runner.WithAnnotator(ctx, notes), notes
}

// Annotate takes in a note; it returns why ctx has ended if it has.
func (n *Notes) Annotate(ctx context.Context, note domain.Note) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if note.Progress != nil {
		n.progress = note.Progress
	}
	if note.Data != nil {
		n.data = note.Data
	}
	n.log = append(n.log, note.Log...)
	return nil
}

// Progress returns the latest progress as JSON; empty if there was none.
func (n *Notes) Progress() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return string(n.progress)
}

// Data returns the latest new payload as JSON; empty if there was none.
func (n *Notes) Data() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return string(n.data)
}

// Log returns the lines of the log.
func (n *Notes) Log() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.log)
}
