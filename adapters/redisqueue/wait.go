package redisqueue

import (
	"context"
	"strconv"
	"time"
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

// await sleeps until something may be ready.
func (c *consumer) await(ctx context.Context, wait waitFor) {
	if wait.limited {
		pause(ctx, min(wait.d, maxLimited))
		return
	}
	d := maxBlock
	if wait.d > 0 {
		d = min(d, wait.d)
	}
	c.ear.listen(ctx, d)
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
