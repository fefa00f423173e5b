package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// Codes of settlements, as move.lua and the protocol number them (appendix A).
const (
	codeSettled        = 0
	codeGone           = -1
	codePending        = -4
	codeFailedChildren = -9
)

// Where the arguments of move.lua are.
const (
	argNumber = iota
	argBase
	argProfile
	argToken
	argLease
	argWorker
	argLimit
	argMaxPayload
	argLimitMax
	argLimitPer
	argMetrics
	argSettlements
	moveArgs
)

// mover makes calls of move.lua, one at a time. It is used again, for its
// arguments are many.
type mover struct {
	session *session
	keys    [3]string
	// args point to texts, which has room for the largest call.
	texts []string
	args  []any
	// limit is how many leases the latest call asked for.
	limit int
	// unresolved tells that the latest call may have leased jobs that nobody
	// got, because its context ended before the answer came. back are such jobs
	// that are not given back yet.
	unresolved bool
	back       []domain.Settlement
}

// owes tells whether the mover must be resolved before its next call.
func (m *mover) owes() bool { return m.unresolved || len(m.back) > 0 }

func (c *consumer) newMover() *mover {
	config := &c.backend.config
	const room = moveArgs + maxMoved*settlementFields
	m := &mover{session: c.backend.sessions.take(), texts: make([]string, room), args: make([]any, room)}
	m.keys = [3]string{m.session.key, c.meta, c.parked}
	for i := range m.args {
		m.args[i] = &m.texts[i]
	}
	m.texts = m.texts[:moveArgs]
	limit := config.Limits[c.queue]
	m.texts[argBase], m.texts[argProfile] = c.base, string(config.Profile)
	m.texts[argLease], m.texts[argWorker] = strconv.FormatInt(c.lease.Milliseconds(), 10), c.worker
	m.texts[argMaxPayload] = strconv.Itoa(config.MaxPayload)
	m.texts[argLimitMax] = strconv.Itoa(max(limit.Max, 0))
	m.texts[argLimitPer] = strconv.FormatInt(limit.Per.Milliseconds(), 10)
	m.texts[argMetrics] = strconv.Itoa(max(config.MetricsMinutes, 0))
	return m
}

// takeMover returns a mover that no other call uses, first of all one that has
// to be resolved: jobs wait for that.
func (c *consumer) takeMover() *mover {
	c.mu.Lock()
	last := len(c.idle) - 1
	if last < 0 {
		c.mu.Unlock()
		return c.newMover()
	}
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.idle, (*mover).owes)
	if i < 0 {
		i = last
	}
	m := c.idle[i]
	c.idle = slices.Delete(c.idle, i, i+1)
	return m
}

func (c *consumer) putMover(m *mover) {
	// What was sent is not kept alive.
	clear(m.texts[moveArgs:])
	m.texts = m.texts[:moveArgs]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, m)
}

// waitFor says what to wait for when nothing was leased: for d, or as long as
// one likes if d is zero.
type waitFor struct {
	limited bool
	d       time.Duration
}

// moved is the answer to one call.
type moved struct {
	codes    []int
	statuses []domain.SettleStatus
	leases   []domain.Lease
	wait     waitFor
}

// move settles up to maxMoved leases and takes up to limit new ones.
func (c *consumer) move(ctx context.Context, settlements []domain.Settlement, limit int) (moved, error) {
	m := c.takeMover()
	defer c.putMover(m)
	if err := c.resolve(ctx, m); err != nil {
		return moved{}, err
	}
	places := c.fill(m, settlements, min(limit, maxMoved))
	asked := c.backend.config.Now()
	reply, err := c.backend.call(ctx, scriptNamed("move"), m.keys[:], m.args[:len(m.texts)])
	if err != nil {
		m.unresolved = ctx.Err() != nil && !errors.Is(err, ports.ErrClosed)
		return moved{}, err
	}
	out, err := c.read(ctx, reply, m)
	if err != nil {
		return moved{}, err
	}
	out.leases = c.trust(ctx, out.leases, asked)
	return c.conclude(settlements, places, out)
}

// fill writes the arguments of a call, and returns which of the settlements
// it carries: those of a kind that this queue knows, one for each lease.
func (c *consumer) fill(m *mover, settlements []domain.Settlement, limit int) []int {
	m.texts[argNumber] = m.session.next()
	m.texts[argToken] = string(leaseToken(m, m.texts[argNumber]))
	m.texts[argLimit], m.limit = strconv.Itoa(limit), limit
	places := make([]int, 0, len(settlements))
	seen := make(map[domain.LeaseRef]bool, len(settlements))
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range settlements {
		if seen[settlements[i].Lease] {
			continue
		}
		seen[settlements[i].Lease] = true
		before := len(m.texts)
		m.texts = c.appendSettlement(m.texts, &settlements[i], c.held[settlements[i].Lease])
		if len(m.texts) > before {
			places = append(places, i)
		}
	}
	m.texts[argSettlements] = strconv.Itoa(len(places))
	return places
}

// read takes the reply of move.lua apart and remembers the new leases.
func (c *consumer) read(ctx context.Context, reply any, m *mover) (moved, error) {
	r := leaseReader{}
	r.rest, _ = reply.([]any)
	codes, wait := r.next(), r.next()
	out := moved{wait: readWait(wait)}
	if codes != "" {
		for code := range strings.SplitSeq(codes, ",") {
			n, err := strconv.Atoi(code)
			r.bad = r.bad || err != nil
			out.codes = append(out.codes, n)
		}
	}
	scheduled := c.remember(&r, m, &out)
	if r.bad {
		return moved{}, fmt.Errorf("move: %w", errReply)
	}
	for _, next := range scheduled {
		c.continueSchedule(ctx, next)
	}
	return out, nil
}

// remember reads the leases and returns those whose job a job scheduler made.
func (c *consumer) remember(r *leaseReader, m *mover, out *moved) []*domain.Lease {
	if len(r.rest) == 0 {
		return nil
	}
	token := domain.LeaseToken(m.texts[argToken])
	out.leases = make([]domain.Lease, 0, m.limit)
	var scheduled []*domain.Lease
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(r.rest) > 0 && !r.bad {
		lease, held := c.readLease(r, token)
		out.leases = append(out.leases, lease)
		c.held[lease.Ref()] = held
		if held.scheduler != "" {
			scheduled = append(scheduled, &out.leases[len(out.leases)-1])
		}
	}
	return scheduled
}

func readWait(text string) waitFor {
	if len(text) < 2 {
		return waitFor{}
	}
	ms, err := strconv.ParseInt(text[1:], 10, 64)
	if err != nil || ms <= 0 {
		return waitFor{}
	}
	d := time.Duration(min(ms, int64(time.Hour/time.Millisecond))) * time.Millisecond
	return waitFor{limited: text[0] == 'l', d: d}
}

// conclude turns codes into statuses and forgets the leases that are over.
func (c *consumer) conclude(settlements []domain.Settlement, places []int, out moved) (moved, error) {
	if len(out.codes) == 0 {
		// All went well.
		out.codes = make([]int, len(places))
	}
	if len(out.codes) != len(places) {
		return moved{}, fmt.Errorf("settle: %w", errReply)
	}
	out.statuses = make([]domain.SettleStatus, len(settlements))
	for i := range out.statuses {
		out.statuses[i] = domain.Unsupported
		if settlements[i].Outcome.Kind >= domain.Completed && settlements[i].Outcome.Kind <= domain.Failed {
			// A lease that the call settles by another entry.
			out.statuses[i] = domain.LeaseLost
		}
	}
	codes := make([]int, len(settlements))
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, place := range places {
		ref, code := settlements[place].Lease, out.codes[n]
		codes[place] = code
		switch code {
		case codeSettled:
			out.statuses[place] = domain.Settled
		case codePending, codeFailedChildren:
			continue
		default:
			out.statuses[place] = domain.LeaseLost
			if held := c.held[ref]; held != nil && held.refused && code == codeGone {
				// There was nothing to write to, and nothing is left.
				out.statuses[place] = domain.Settled
			}
		}
		delete(c.held, ref)
	}
	out.codes = codes
	return out, nil
}

// resolve gives back the jobs that the mover's latest call may have leased
// although nobody got the answer. Repeating its number tells which they are, or
// makes sure that the call is never carried out. An error says that the mover
// must not make another call yet.
func (c *consumer) resolve(ctx context.Context, m *mover) error {
	for m.owes() {
		err := c.resolveStep(ctx, m)
		if err == nil {
			continue
		}
		if ctx.Err() != nil || errors.Is(err, ports.ErrClosed) {
			return err
		}
		c.notReturned(ctx, err)
		m.unresolved, m.back = false, nil
	}
	return nil
}

func (c *consumer) notReturned(ctx context.Context, err error) {
	c.backend.config.Log.WarnContext(ctx, "jobs not returned: their leases run out by themselves", "queue", c.queue, "err", err)
}

// resolveStep makes one of the calls that resolve a mover.
func (c *consumer) resolveStep(ctx context.Context, m *mover) error {
	if m.unresolved {
		m.texts[argLimit], m.texts[argSettlements] = "0", "0"
		reply, err := c.backend.lastCall(ctx, scriptNamed("move"), m.keys[:], m.args[:moveArgs])
		if err == nil {
			m.unresolved, m.back = false, c.unclaimed(reply, domain.LeaseToken(m.texts[argToken]))
		}
		return err
	}
	some := m.back[:min(len(m.back), maxMoved)]
	c.fill(m, some, 0)
	defer func() { m.texts = m.texts[:moveArgs] }()
	_, err := c.backend.lastCall(ctx, scriptNamed("move"), m.keys[:], m.args[:len(m.texts)])
	if err == nil {
		m.back = m.back[len(some):]
	}
	return err
}

// unclaimed returns how the leases of a reply are given back: each goes to the
// front, so that the first must go last.
func (c *consumer) unclaimed(reply any, token domain.LeaseToken) (back []domain.Settlement) {
	r := leaseReader{}
	r.rest, _ = reply.([]any)
	r.next()
	r.next()
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(r.rest) > 0 {
		lease, _ := c.readLease(&r, token)
		if r.bad {
			break
		}
		back = append(back, domain.Settlement{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Returned}})
	}
	slices.Reverse(back)
	return back
}
