package redisqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var _ ports.Consumer = (*consumer)(nil)

// consumer takes jobs from one queue, as one worker of BullMQ's.
type consumer struct {
	backend *Backend
	queue   domain.QueueName
	worker  string
	lease   time.Duration
	// base is what the names of the queue's keys begin with, meta and parked
	// are two of them.
	base, meta, parked string
	ear                *ear

	mu sync.Mutex
	// held are the leases that are not settled yet.
	held map[domain.LeaseRef]*leased
	// idle are movers that no call uses.
	idle    []*mover
	options optionsCache
}

// OpenConsumer implements [ports.OpenConsumer]. It does not wait for the
// server: connecting under the worker's name, and making parked jobs due,
// happen beside whatever follows.
func (b *Backend) OpenConsumer(options ports.ConsumerOptions) (ports.Consumer, error) {
	if err := options.Queue.Validate(); err != nil {
		return nil, fmt.Errorf("open consumer: %w", err)
	}
	if options.Lease < time.Millisecond {
		return nil, domain.Invalidf("open consumer of queue %s: lease %s is too short; at least 1ms", options.Queue, options.Lease)
	}
	base := b.keys.queue(options.Queue)
	c := &consumer{
		backend: b, queue: options.Queue, worker: options.Worker, lease: options.Lease,
		base: base, meta: base + "meta", parked: b.keys.parked(options.Queue),
		held: map[domain.LeaseRef]*leased{},
	}
	name := ClientName(b.config.Prefix, options.Queue, options.Worker)
	c.ear = newEar(NewBlockingClient(b.config.Connection, name), base+"marker", b.failures)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		_ = c.ear.close()
		return nil, fmt.Errorf("open consumer of queue %s: %w", options.Queue, ports.ErrClosed)
	}
	b.consumers = append(b.consumers, c)
	c.ear.start(func(ctx context.Context) {
		c.ear.show(ctx)
		c.unpark(ctx, options.Handles)
	})
	return c, nil
}

// Reserve implements [ports.Consumer]. It fetches, and sleeps on BullMQ's
// marker while there is nothing, two seconds at most at a time.
func (c *consumer) Reserve(ctx context.Context, limit int) ([]domain.Lease, error) {
	if limit < 1 {
		return nil, domain.Invalidf("reserve: limit %d is not positive", limit)
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		reply, err := c.move(ctx, nil, limit)
		if err != nil {
			return nil, ended(ctx, err)
		}
		if len(reply.leases) > 0 {
			return reply.leases, nil
		}
		c.await(ctx, reply.wait)
	}
}

// ended returns ctx's own error if that is why a call failed.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ports.ErrClosed) {
		return ctx.Err()
	}
	return err
}

// maxLimited is how long a rate limit is slept through at most: delayed jobs
// are to become ready meanwhile.
const maxLimited = 5 * time.Second

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

// maxMoved is how many settlements or leases one call carries.
const maxMoved = 50

// Settle implements [ports.Consumer]. More than 50 settlements are written in
// several calls.
func (c *consumer) Settle(ctx context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error) {
	if err := ctx.Err(); err != nil {
		return domain.SettleReply{}, err
	}
	var statuses []domain.SettleStatus
	for len(settlements) > maxMoved {
		reply, err := c.settleSome(ctx, settlements[:maxMoved], 0)
		if err != nil {
			return domain.SettleReply{}, ended(ctx, err)
		}
		statuses = append(statuses, reply.Statuses...)
		settlements = settlements[maxMoved:]
	}
	reply, err := c.settleSome(ctx, settlements, limit)
	if err != nil {
		return domain.SettleReply{}, ended(ctx, err)
	}
	if statuses != nil {
		reply.Statuses = append(statuses, reply.Statuses...)
	}
	return reply, nil
}

// settleSome settles one call's worth. Jobs that cannot complete because of
// their children fail, or are tried again, in a second call.
func (c *consumer) settleSome(ctx context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error) {
	moved, err := c.move(ctx, settlements, limit)
	if err != nil {
		return domain.SettleReply{}, err
	}
	reply := domain.SettleReply{Statuses: moved.statuses, Leases: moved.leases}
	var again []domain.Settlement
	var places []int
	for i, code := range moved.codes {
		if outcome, refused := c.childrenOutcome(&settlements[i], code); refused {
			again = append(again, domain.Settlement{Lease: settlements[i].Lease, Outcome: outcome})
			places = append(places, i)
		}
	}
	if len(again) == 0 {
		return reply, nil
	}
	second, err := c.move(ctx, again, 0)
	if err != nil {
		return domain.SettleReply{}, err
	}
	for i, place := range places {
		reply.Statuses[place] = second.statuses[i]
	}
	return reply, nil
}

// childrenOutcome returns what becomes of a job whose outcome its children
// refused, as Node words it (protocol 3.4).
func (c *consumer) childrenOutcome(s *domain.Settlement, code int) (domain.Outcome, bool) {
	switch code {
	case codePending:
		reason := fmt.Sprintf("Job %s has pending dependencies. moveToFinished", s.Lease.ID)
		held := c.heldLease(s.Lease)
		if held == nil || held.attemptsLeft <= 0 {
			return domain.Outcome{Kind: domain.Failed, Reason: reason}, true
		}
		return domain.Outcome{Kind: domain.Retry, Reason: reason, After: held.options.Backoff.After(held.attempt, 1)}, true
	case codeFailedChildren:
		reason := fmt.Sprintf("Cannot complete job %s because it has at least one failed child. moveToFinished", s.Lease.ID)
		return domain.Outcome{Kind: domain.Failed, Reason: reason}, true
	}
	return domain.Outcome{}, false
}

func (c *consumer) heldLease(ref domain.LeaseRef) *leased {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held[ref]
}

// Extend implements [ports.Consumer].
func (c *consumer) Extend(ctx context.Context, leases []domain.LeaseRef) ([]domain.LeaseRef, error) {
	if err := ctx.Err(); err != nil || len(leases) == 0 {
		return nil, err
	}
	args := make([]any, 0, 2+2*len(leases))
	args = append(args, c.base, c.lease.Milliseconds())
	for _, ref := range leases {
		args = append(args, string(ref.ID), string(ref.Token))
	}
	reply, err := c.backend.call(ctx, scriptNamed("extend"), []string{c.meta}, args)
	if err != nil {
		return nil, ended(ctx, err)
	}
	positions, _ := reply.([]any)
	c.forgetOthers(leases)
	return c.lose(leases, positions), nil
}

// forgetOthers forgets the leases that the worker has given up: it extends
// all that it holds.
func (c *consumer) forgetOthers(leases []domain.LeaseRef) {
	kept := make(map[domain.LeaseRef]bool, len(leases))
	for _, ref := range leases {
		kept[ref] = true
	}
	now := c.backend.config.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for ref, held := range c.held {
		if !kept[ref] && now.Sub(held.since) > c.lease {
			delete(c.held, ref)
		}
	}
}

// lose forgets the leases at the positions, counted from one, and returns them.
func (c *consumer) lose(leases []domain.LeaseRef, positions []any) []domain.LeaseRef {
	var lost []domain.LeaseRef
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, position := range positions {
		if n, ok := position.(int64); ok && n >= 1 && int(n) <= len(leases) {
			lost = append(lost, leases[n-1])
			delete(c.held, leases[n-1])
		}
	}
	return lost
}

// Recover implements [ports.Consumer]. A job that crashed too often is not
// failed here: as in BullMQ, whoever leases it next is told to fail it.
func (c *consumer) Recover(ctx context.Context) ([]domain.Recovered, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.ear.show(ctx)
	config := &c.backend.config
	args := []any{nil, c.base, string(config.Profile), config.StalledInterval.Milliseconds(), max(config.MaxCrashes, 0)}
	reply, err := c.backend.numbered(ctx, scriptNamed("recover"), []string{"", c.meta, c.parked}, args)
	if err != nil {
		return nil, ended(ctx, err)
	}
	return readRecovered(reply)
}

// actionMissing is what recover.lua says of a job without a hash.
const actionMissing = "missing"

func readRecovered(reply any) ([]domain.Recovered, error) {
	packed, _ := reply.(string)
	u := unpacker{rest: packed}
	var recovered []domain.Recovered
	for range u.list() / 4 {
		id, _ := u.text()
		name, _ := u.text()
		crashes := u.number()
		action, _ := u.text()
		r := domain.Recovered{ID: domain.JobID(id), Name: name, Crashes: crashes, Action: domain.Requeued}
		if action == actionMissing {
			r.Action = domain.Quarantined
		}
		recovered = append(recovered, r)
		if u.err != nil {
			break
		}
	}
	if u.err != nil {
		return nil, fmt.Errorf("recover: %w", u.err)
	}
	return recovered, nil
}

// Annotate implements [ports.Consumer]. Progress or data that is not JSON is
// [domain.ErrInvalid]: Node's readers stop at it.
func (c *consumer) Annotate(ctx context.Context, notes []domain.Note) ([]domain.LeaseRef, error) {
	if err := ctx.Err(); err != nil || len(notes) == 0 {
		return nil, err
	}
	args := []any{nil, c.base, string(c.backend.config.Profile), len(notes)}
	refs := make([]domain.LeaseRef, len(notes))
	for i := range notes {
		if err := c.checkNote(&notes[i]); err != nil {
			return nil, err
		}
		refs[i] = notes[i].Lease
		args = c.appendNote(args, &notes[i])
	}
	reply, err := c.backend.numbered(ctx, scriptNamed("annotate"), []string{"", c.meta}, args)
	if err != nil {
		return nil, ended(ctx, err)
	}
	packed, _ := reply.(string)
	u := unpacker{rest: packed}
	positions := make([]any, 0, len(notes))
	for range u.list() {
		positions = append(positions, int64(u.number()))
	}
	if u.err != nil {
		return nil, fmt.Errorf("annotate: %w", u.err)
	}
	return c.lose(refs, positions), nil
}

// maxLog is how many lines of a job's log are kept at most, the newest.
const maxLog = 1000

func (c *consumer) appendNote(args []any, note *domain.Note) []any {
	keep := maxLog
	if held := c.heldLease(note.Lease); held != nil && held.options.keepLogs > 0 {
		keep = min(held.options.keepLogs, maxLog)
	}
	args = append(args, string(note.Lease.ID), string(note.Lease.Token),
		marked("p", note.Progress), marked("d", note.Data), keep, len(note.Log))
	for _, line := range note.Log {
		args = append(args, domain.CleanText(line, domain.MaxStack))
	}
	return args
}

// marked tells a value from none.
func marked(mark string, value []byte) string {
	if value == nil {
		return ""
	}
	return mark + string(value)
}

// unpark makes the parked jobs due that this worker has handlers for. One page
// of the list of parked jobs is read at a time.
func (c *consumer) unpark(ctx context.Context, handles []string) {
	if len(handles) == 0 {
		return
	}
	known := make(map[string]bool, len(handles))
	for _, name := range handles {
		known[name] = true
	}
	var cursor uint64
	for ctx.Err() == nil {
		page, next, err := c.backend.client.HScan(ctx, c.parked, cursor, "", unparkPage).Result()
		if err != nil {
			if !passes(err) || ctx.Err() != nil {
				c.backend.config.Log.WarnContext(ctx, "parked jobs not made due", "queue", c.queue, "err", translate("unpark", err))
				return
			}
			c.backend.failures.failed(ctx, "unpark", err)
			pause(ctx, repeatMost)
			continue
		}
		args := []any{c.base, string(c.backend.config.Profile)}
		for i := 0; i+1 < len(page); i += 2 {
			if known[page[i+1]] {
				args = append(args, page[i])
			}
		}
		if len(args) > 2 {
			_, _ = c.backend.call(ctx, scriptNamed("unpark"), []string{c.meta, c.parked}, args)
		}
		if cursor = next; cursor == 0 {
			return
		}
	}
}

const unparkPage = 500

// closePatience bounds what a consumer still asks of the server as it closes.
const closePatience = time.Second

func (c *consumer) close() error {
	c.mu.Lock()
	movers := c.idle
	c.idle = nil
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	for _, m := range movers {
		if m.unresolved {
			c.resolve(ctx, m)
		}
		c.backend.sessions.put(m.session)
	}
	return c.ear.close()
}

// checkNote refuses what must not be written.
func (c *consumer) checkNote(note *domain.Note) error {
	id, limit := domain.Quote(string(note.Lease.ID)), c.backend.config.MaxPayload
	for _, value := range [][]byte{note.Progress, note.Data} {
		if len(value) > limit {
			return fmt.Errorf("annotate job %s: %d bytes, at most %d are allowed: %w", id, len(value), limit, domain.ErrTooLarge)
		}
		if value != nil && !json.Valid(value) {
			return domain.Invalidf("annotate job %s: progress or data is not JSON", id)
		}
	}
	return nil
}

// leaseToken is the token of all leases of one call: each acquisition of a job
// has a new one.
func leaseToken(m *mover, number string) domain.LeaseToken {
	return domain.LeaseToken(m.session.id + ":" + number)
}
