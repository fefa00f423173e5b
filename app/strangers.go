package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/taktwork/takt/core/domain"
)

// maxStrangers bounds the warnings about queues that jobs are sent to and that
// no handler works.
const maxStrangers = 100

// strangers are the queues that were warned of. The zero value has none.
type strangers struct {
	mu   sync.Mutex
	seen map[string]bool
}

// isNew reports whether the queue is to be warned of, and remembers it.
func (s *strangers) isNew(queue string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[queue] || len(s.seen) == maxStrangers {
		return false
	}
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[queue] = true
	return true
}

// noteStrangers returns what is to be said of the queues among the jobs' that
// are neither declared nor worked here, and warns of each once.
func (e *engine) noteStrangers(ctx context.Context, jobs []domain.NewJob) map[domain.QueueName]string {
	notes := map[domain.QueueName]string{}
	for i := range jobs {
		queue := jobs[i].Queue
		if notes[queue] != "" || e.registry.known[string(queue)] {
			continue
		}
		known := slices.Sorted(slices.Values(e.registry.queues))
		notes[queue] = fmt.Sprintf("queue %s has no handler in this worker; it has: %s", queue, strings.Join(known, ", "))
		if e.strangers.isNew(string(queue)) {
			e.log.WarnContext(ctx, "job enqueued on a queue without a handler in this worker", "queue", string(queue))
		}
	}
	return notes
}
