package redisqueue

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
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
	argPlain
	argPlainKind
	argFinishes
	argOrder
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
	// limit is how many leases the latest call asked for, places are those of the
	// settlements that it carried, in its order.
	limit  int
	places []int
	// unresolved tells that the latest call may have leased jobs that nobody
	// got, because its context ended before the answer came. back are such jobs
	// that are not given back yet.
	unresolved bool
	back       []domain.Settlement
}

// request is the call with so many of the arguments.
func (m *mover) request(args int) request {
	return request{of: m.session, script: scriptNamed("move"), keys: m.keys[:], args: m.args[:args]}
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
	m.texts[argBase], m.texts[argProfile] = c.base, string(config.Profile)
	m.texts[argLease], m.texts[argWorker] = strconv.FormatInt(c.lease.Milliseconds(), 10), c.worker
	m.texts[argMaxPayload] = strconv.Itoa(config.MaxPayload)
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

// move settles up to maxMoved leases and takes up to limit new ones.
func (c *consumer) move(ctx context.Context, settlements []domain.Settlement, limit int) (moved, error) {
	m := c.takeMover()
	defer c.putMover(m)
	if err := c.resolve(ctx, m); err != nil {
		return moved{}, err
	}
	c.fill(m, settlements, min(limit, maxMoved))
	asked := c.backend.config.Now()
	reply, err := c.ask(ctx, m)
	if err != nil {
		return moved{}, err
	}
	return c.take(ctx, m, answer{reply: reply, asked: asked, dryAt: asked}, settlements)
}

// ask makes the mover's call.
func (c *consumer) ask(ctx context.Context, m *mover) (any, error) {
	reply, err := c.backend.callOf(ctx, m.request(len(m.texts)))
	m.unresolved = err != nil && ctx.Err() != nil && !errors.Is(err, ports.ErrClosed)
	return reply, err
}

// answer is the reply to a mover's call. The leases in it began when it was
// asked or later; what it says of the jobs that are left held at dryAt.
type answer struct {
	reply        any
	asked, dryAt time.Time
}

// take reads the answer to the mover's call with the settlements.
func (c *consumer) take(ctx context.Context, m *mover, a answer, settlements []domain.Settlement) (moved, error) {
	out, err := c.read(ctx, a.reply, m)
	if err != nil {
		return moved{}, err
	}
	c.noteDry(m.limit, out.wait, a.dryAt)
	c.noteMoved(m, settlements, out)
	out.leases = c.trust(ctx, out.leases, a.asked)
	return c.conclude(settlements, m.places, out)
}

// noteMoved takes note of what the latest call did.
func (c *consumer) noteMoved(m *mover, settlements []domain.Settlement, out moved) {
	if c.backend.follower == nil {
		return
	}
	outcomes, leases := deed{kind: lostOutcome, queue: c.queue}, deed{kind: lostLease, queue: c.queue}
	for n, place := range m.places {
		if len(out.codes) == 0 || out.codes[n] == codeSettled {
			outcomes.names = append(outcomes.names, string(settlements[place].Lease.ID))
		}
	}
	for i := range out.leases {
		leases.names = append(leases.names, string(out.leases[i].Job.ID))
	}
	c.backend.answered(m.session, outcomes, leases)
}

// fill writes the arguments of a call. Of the settlements it carries those of a
// kind that this queue knows, one for each lease.
func (c *consumer) fill(m *mover, settlements []domain.Settlement, limit int) {
	m.texts[argNumber] = m.session.next()
	m.texts[argToken] = string(leaseToken(m, m.texts[argNumber]))
	m.texts[argLimit], m.limit = strconv.Itoa(limit), limit
	own := c.own.Load()
	m.texts[argLimitMax], m.texts[argLimitPer] = own.max, own.per
	places := firstOfLeases(settlements)
	c.mu.Lock()
	defer c.mu.Unlock()
	last := -1
	if len(places) > 0 {
		last = places[len(places)-1]
	}
	plain, kind := c.plainLast(settlements, places)
	others := len(places) - plain
	carried, finishes := places[:0], "0"
	for _, place := range places[:others] {
		before, s := len(m.texts), &settlements[place]
		m.texts = c.appendSettlement(m.texts, s, c.held[s.Lease])
		if len(m.texts) == before {
			continue
		}
		carried = append(carried, place)
		if kind := m.texts[before][:1]; place == last && (kind == kindCompleted || kind == kindFailed) {
			finishes = "1"
		}
	}
	m.texts[argSettlements], m.texts[argPlain], m.texts[argPlainKind] = strconv.Itoa(len(carried)), strconv.Itoa(plain), kind
	for _, place := range places[others:] {
		s := &settlements[place]
		m.texts = append(m.texts, string(s.Lease.ID), string(s.Lease.Token), resultText(s.Outcome.Result))
		carried = append(carried, place)
		if place == last {
			finishes = "1"
		}
	}
	m.texts[argFinishes], m.texts[argOrder] = finishes, callersOrder(carried)
	m.places = carried
}

// callersOrder says which of the places comes first, second and so on for the
// caller, counted from one; nothing if they are in order.
func callersOrder(places []int) string {
	if slices.IsSorted(places) {
		return ""
	}
	order := make([]int, len(places))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(places[a], places[b]) })
	var text strings.Builder
	for i, at := range order {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(strconv.Itoa(at + 1))
	}
	return text.String()
}

// firstOfLeases returns the places of the settlements but for those of a lease
// that has one before.
func firstOfLeases(settlements []domain.Settlement) []int {
	places := make([]int, 0, len(settlements))
	seen := make(map[domain.LeaseRef]bool, len(settlements))
	for i := range settlements {
		if ref := settlements[i].Lease; !seen[ref] {
			seen[ref] = true
			places = append(places, i)
		}
	}
	return places
}

// plainLast puts those of the places last that complete plain jobs of one
// retention, in the order in which they were leased, and returns how many they
// are and their kind; mu is held. All stay where they are when others complete, too, and the order
// decides which of them a retention drops.
func (c *consumer) plainLast(settlements []domain.Settlement, places []int) (count int, kind string) {
	type numbered struct {
		place  int
		number uint64
	}
	plain, others := make([]numbered, 0, len(places)), make([]int, 0, len(places))
	keep, mixed, drops := "", false, false
	for _, place := range places {
		s := &settlements[place]
		held, completes := c.held[s.Lease], s.Outcome.Kind == domain.Completed
		if completes && held != nil && held.plain && (len(plain) == 0 || c.keepCompleted(held) == keep) {
			keep = c.keepCompleted(held)
			plain = append(plain, numbered{place: place, number: held.number})
			continue
		}
		others = append(others, place)
		if completes && held != nil {
			mixed, drops = true, drops || dropsOthers(c.keepCompleted(held))
		}
	}
	if mixed && (drops || dropsOthers(keep)) {
		return 0, ""
	}
	slices.SortFunc(plain, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	for _, p := range plain {
		others = append(others, p.place)
	}
	copy(places, others)
	return len(plain), kindCompleted + keep
}

// dropsOthers tells whether jobs that finished before are dropped under the
// retention.
func dropsOthers(keep string) bool { return keep != keepAll && keep != keepNone }
