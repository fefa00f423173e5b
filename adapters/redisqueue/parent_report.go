package redisqueue

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// parentReports keep what is wrong with parents from filling the log: each
// complaint is told once a second.
type parentReports struct {
	mu   sync.Mutex
	told map[string]time.Time
}

// reportParent says in the log that a parent was not told of the end of its
// child. The child is done all the same, but its parent goes on waiting for it.
// Other complaints are of what else hangs on an outcome.
func (c *consumer) reportParent(ctx context.Context, complaint string) {
	complaint = domain.CleanText(complaint, domain.MaxReason)
	switch other, isOther := strings.CutPrefix(complaint, "!"); {
	case !c.parents.isDue(complaint, c.backend.config.Now()):
	case isOther:
		c.backend.config.Log.WarnContext(ctx, "outcome written beside damaged keys", "queue", c.queue, "err", other)
	default:
		c.backend.config.Log.WarnContext(ctx, "a parent was not told that its child ended", "queue", c.queue, "err", complaint)
	}
}

// isDue tells whether the complaint is to be told now.
func (p *parentReports) isDue(complaint string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, told := p.told[complaint]; told && now.Sub(at) < time.Second {
		return false
	}
	if p.told == nil || len(p.told) >= maxCauses {
		p.told = map[string]time.Time{}
	}
	p.told[complaint] = now
	return true
}
