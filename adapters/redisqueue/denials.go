package redisqueue

import (
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A server that answers may still refuse: writes of anyone's, or calls for
// which the user has not the right. Calls that are not refused prove nothing
// then.
type denialKind int

const (
	deniesNothing denialKind = iota
	deniesWrites
	deniesUser
)

func denialOf(err error) denialKind {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return deniesNothing
	}
	word, _, _ := strings.Cut(complaintOf(reply), " ")
	switch word {
	case "READONLY", "OOM", "MISCONF", "NOREPLICAS":
		return deniesWrites
	case "NOPERM":
		return deniesUser
	}
	return deniesNothing
}

const (
	// rightLife is how long the want of a right counts if the call is not made
	// again.
	rightLife = 3 * time.Second
	// probeAfter is the least time between two questions whether the server
	// takes writes again.
	probeAfter = 500 * time.Millisecond
)

// denial is since when something is refused, and why.
type denial struct {
	since, latest time.Time
	err           error
}

func (d *denial) add(err error, now time.Time) {
	if d.since.IsZero() {
		d.since = now
	}
	d.latest, d.err = now, err
}

// denials are what the server refuses.
type denials struct {
	writes denial
	probed time.Time
	// rights are the calls that the user may not make, by name.
	rights map[string]denial
}

func (d *denials) add(op string, err error, now time.Time) {
	if denialOf(err) == deniesWrites {
		d.writes.add(err, now)
		return
	}
	one := d.rights[op]
	one.add(err, now)
	d.rights[op] = one
}

// doubtful reports whether it is worth asking if the server takes writes, and
// takes it for asked.
func (d *denials) doubtful(now time.Time) bool {
	if d.writes.since.IsZero() || now.Sub(d.probed) < probeAfter {
		return false
	}
	d.probed = now
	return true
}

// oldest returns since when anything is refused, and why; the zero time if
// nothing is.
func (d *denials) oldest(now time.Time) (since time.Time, err error) {
	since, err = d.writes.since, d.writes.err
	for op, one := range d.rights {
		if now.Sub(one.latest) > rightLife {
			delete(d.rights, op)
		} else if since.IsZero() || one.since.Before(since) {
			since, err = one.since, one.err
		}
	}
	return since, err
}
