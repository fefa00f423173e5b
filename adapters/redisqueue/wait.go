package redisqueue

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/ports"
)

// waitFor says what to wait for when nothing was leased: for d, or as long as
// one likes if d is zero. dry tells that no more was ready.
type waitFor struct {
	limited, dry bool
	d            time.Duration
}

func readWait(text string) waitFor {
	if len(text) < 2 {
		return waitFor{dry: text == "e"}
	}
	ms, err := strconv.ParseInt(text[1:], 10, 64)
	if err != nil || ms <= 0 {
		return waitFor{}
	}
	d := time.Duration(min(ms, int64(time.Hour/time.Millisecond))) * time.Millisecond
	return waitFor{limited: text[0] == 'l', dry: text[0] == 'd', d: d}
}

// maxLimited is how long a rate limit is slept through at most: it may be lifted
// before its time, and delayed jobs are to become ready meanwhile.
const maxLimited = 2 * time.Second

// await sleeps until something may be ready, and takes up to limit leases.
func (c *consumer) await(ctx context.Context, limit int, wait waitFor) (moved, error) {
	if wait.limited {
		pause(ctx, min(wait.d, maxLimited))
		return c.move(ctx, nil, limit)
	}
	return c.moveWhenHeard(ctx, limit, listeningFor(c.lease, wait.d))
}

// listening is how long a marker is listened for: block is what the server is
// asked to wait, patience after how long whoever listens goes on without an answer.
type listening struct{ block, patience time.Duration }

const (
	// leaseShare is which part of a lease may be over when its owner gets it: it
	// may have begun as soon as the wait for it did.
	leaseShare = 4
	// answerShare is which part of the patience is left to the answer. Redis looks
	// ten times a second for waits that are over, and either side may be busy; who
	// goes on too early asks twice.
	answerShare = 8
	// listenGrace is how much later than a job is due it is asked for without an
	// answer.
	listenGrace = 20 * time.Millisecond
)

// listeningFor says how long to listen if a job is due then; zero means that none
// is known of.
func listeningFor(lease, due time.Duration) listening {
	most := min(maxBlock, lease/leaseShare)
	l := listening{block: most - most/answerShare, patience: most + listenGrace}
	if due > 0 {
		l = listening{block: min(l.block, due), patience: min(l.patience, due+listenGrace)}
	}
	return l
}

// moveWhenHeard takes up to limit leases once a marker is heard, or when that
// was listened for long enough. The call for them follows the wait on its
// connection, so that the server carries it out as soon as the marker is there,
// and what is heard need not come here and go back first.
func (c *consumer) moveWhenHeard(ctx context.Context, limit int, l listening) (moved, error) {
	m := c.takeMover()
	defer c.putMover(m)
	if err := c.resolve(ctx, m); err != nil {
		return moved{}, err
	}
	c.fill(m, nil, min(limit, maxMoved))
	r := m.request(moveArgs)
	asked, call := c.backend.config.Now(), c.backend.callBehind(ctx, r)
	a := answer{asked: asked}
	if c.ear.listen(ctx, l, call) {
		a.reply = call.Val()
		c.backend.failures.answered(ctx, r.script.name)
	} else {
		if ctx.Err() != nil || c.backend.isClosed() {
			return moved{}, c.callBack(ctx, m)
		}
		// Should the call have been carried out, this one tells of it.
		var err error
		if a.reply, err = c.ask(ctx, m); err != nil {
			return moved{}, err
		}
	}
	a.dryAt = c.backend.config.Now()
	return c.take(ctx, m, a, nil)
}

// callBackPatience bounds what a caller that leaves still asks of the server.
const callBackPatience = 250 * time.Millisecond

// callBack makes sure that a call is not carried out any more that waits behind
// a marker on the server, and gives back what it has leased. It returns why the
// caller leaves.
func (c *consumer) callBack(ctx context.Context, m *mover) error {
	m.unresolved = true
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), callBackPatience)
	defer cancel()
	_ = c.resolve(detached, m) // it is tried again before the mover's next call, and at the end
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("move: %w", ports.ErrClosed)
}

// dryFor is how long the word holds that nothing is ready. What comes later
// leaves a marker, but for jobs that come while the queue is blocked.
const dryFor = 50 * time.Millisecond

// noteDry remembers what a call that asked for up to limit jobs said of those
// that are left.
func (c *consumer) noteDry(limit int, wait waitFor, asked time.Time) {
	if limit == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dry, c.dryAt = wait, asked
}

// takeDry returns what to wait for if the latest call left nothing ready and is
// not long ago: to ask again at once would tell the same. It says so once.
func (c *consumer) takeDry() (wait waitFor, dry bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait, c.dry = c.dry, waitFor{}
	return wait, wait.dry && c.backend.config.Now().Sub(c.dryAt) < dryFor
}
