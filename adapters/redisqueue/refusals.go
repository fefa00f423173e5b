package redisqueue

import (
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// refuses reports whether the server answers but refuses this kind of call: it
// takes no writes for now, or the user has not the right. Calls of other kinds
// may succeed meanwhile and prove nothing.
func refuses(err error) bool {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return false
	}
	word, _, _ := strings.Cut(reply.Error(), " ")
	switch word {
	case "READONLY", "OOM", "MISCONF", "NOREPLICAS", "NOPERM":
		return true
	}
	return false
}

// refusalLife is how long a refusal counts if the call is not made again.
const refusalLife = 3 * time.Second

// refusedCall is what became of a kind of call of late.
type refusedCall struct {
	since, latest time.Time
	err           error
}

// refusals are the kinds of calls that the server refuses, by name.
type refusals map[string]refusedCall

func (r refusals) add(op string, err error, now time.Time) {
	since := now
	if before, known := r[op]; known {
		since = before.since
	}
	r[op] = refusedCall{since: since, latest: now, err: err}
}

// oldest returns since when a call is refused, and why; the zero time if none is.
func (r refusals) oldest(now time.Time) (since time.Time, err error) {
	for op, one := range r {
		if now.Sub(one.latest) > refusalLife {
			delete(r, op)
		} else if since.IsZero() || one.since.Before(since) {
			since, err = one.since, one.err
		}
	}
	return since, err
}
