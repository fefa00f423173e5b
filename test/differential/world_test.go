package differential_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/redistest"
)

// world is two databases with what works on them, and what a sequence has
// brought about so far.
type world struct {
	version string
	node    *nodeSide
	ours    *ourSide
	redis   [2]*redis.Client
	normal  normaliser
	tally   *tally
	// clock is the latest ms in which something happened.
	clock int64
	slots map[slotKey]*slot
	// ids are the ids that jobs of a queue have got, oldest first.
	ids map[string][]string
	// schedulers are the ids of the job schedulers of a queue.
	schedulers map[string][]string
	// limited tells that the workers have a rate limit of their own.
	limited bool
	// metrics tells that the workers keep metrics.
	metrics bool
	// batched tells that a step has ended several jobs.
	batched bool
	// unmarked tells that the markers of the step say nothing.
	unmarked bool
	// paused are the queues that are paused, as far as steps say so.
	paused map[string]bool
	// unlinked tells that a job was taken from its parent.
	unlinked bool
	// everyStep has dumps compared after each step, not at the end alone.
	everyStep bool
}

// slot holds a job on both sides. Its ids are those of Node's side and of
// ours: runs of a scheduler have their time in the id.
type slot struct {
	ids [2]string
	// broken tells that the lock was taken away.
	broken bool
}

func newWorld(t *testing.T, server *redistest.Server, version string, lane int) *world {
	t.Helper()
	databases := [2]int{2 * lane, 2*lane + 1}
	profile := redisqueue.ProfileV5
	if version[0] == '6' {
		profile = redisqueue.ProfileV6
	}
	return &world{
		version: version, tally: newTally(),
		node:  startNode(t, version, server, databases),
		ours:  newOurSide(t, server, databases[1], profile),
		redis: [2]*redis.Client{server.ClientOf(databases[0]), server.ClientOf(databases[1])},
	}
}

// reset empties the databases for a sequence.
func (w *world) reset(ctx context.Context, s setup) error {
	for _, client := range w.redis {
		if err := client.FlushDB(ctx).Err(); err != nil {
			return fmt.Errorf("reset: %w", err)
		}
		if !s.Signed {
			continue
		}
		for _, queue := range queues() {
			fields := []any{"version", foreignVersion, "opts.maxLenEvents", 10000}
			if err := client.HSet(ctx, "bull:"+queue+":meta", fields...).Err(); err != nil {
				return fmt.Errorf("reset: %w", err)
			}
		}
	}
	if _, err := w.node.call(request{Setup: &s}); err != nil {
		return err
	}
	w.limited, w.metrics, w.batched = s.Limiter > 0, s.Metrics > 0, false
	w.slots, w.ids, w.schedulers = map[slotKey]*slot{}, map[string][]string{}, map[string][]string{}
	w.paused, w.unlinked, w.unmarked = map[string]bool{}, false, false
	w.normal = normaliser{base: time.Now().UnixMilli()}
	return w.ours.reset(s)
}

// tick waits for a millisecond after the latest.
func tick(latest int64) {
	for time.Now().UnixMilli() <= latest {
		redistest.Pass(50 * time.Microsecond)
	}
}

// awaitMinute waits for the next minute if it is near: metrics are per minute,
// and the sides are not in the same millisecond.
func (w *world) awaitMinute() {
	const near = 200 * time.Millisecond
	if left := time.Minute - time.Duration(time.Now().UnixNano())%time.Minute; w.metrics && left < near {
		redistest.Pass(left)
	}
}

// difference is how the sides differ after a step, the last of the sequence
// if it is in what they hold in the end.
type difference struct {
	step int
	what string
}

// play plays a sequence and returns the first difference, nil if there is
// none.
func (w *world) play(ctx context.Context, seq *sequence) (*difference, error) {
	if err := w.reset(ctx, seq.Setup); err != nil {
		return nil, err
	}
	for i := range seq.Steps {
		what, err := w.perform(ctx, &seq.Steps[i])
		if err != nil || what != "" {
			return &difference{i, what}, err
		}
	}
	what, err := w.compareDumps(ctx)
	if err != nil || what == "" {
		return nil, err
	}
	return &difference{len(seq.Steps) - 1, what}, nil
}

// perform carries out one step on both sides and says what differs.
func (w *world) perform(ctx context.Context, s *step) (string, error) {
	if !w.possible(s) {
		return "", nil
	}
	if excluded, err := w.excluded(ctx, s); err != nil || excluded {
		return "", err
	}
	w.awaitMinute()
	tick(w.clock)
	w.batched = w.batched || len(s.Endings) > 1
	results, err := w.both(ctx, s)
	w.clock = time.Now().UnixMilli()
	if err != nil {
		return "", err
	}
	node, ours := w.normal.text(canonical(results[0].String())), w.normal.text(canonical(results[1].String()))
	if node != ours {
		held, err := w.compareDumps(ctx)
		return fmt.Sprintf("node answers %s\nours answers %s\n%s", node, ours, held), err
	}
	if err := w.clearGone(ctx, s, results[0]); err != nil {
		return "", err
	}
	w.learn(s, results)
	what, err := w.compareMarkers(ctx)
	if err != nil || what != "" || !w.everyStep {
		return what, err
	}
	return w.compareDumps(ctx)
}

// both carries out the step on both sides.
func (w *world) both(ctx context.Context, s *step) ([]result, error) {
	switch s.Do {
	case "queue", "job", "scheduled", "flow", "events", "get":
		return w.operated(ctx, s)
	case "touch":
		return w.touch(ctx, s)
	}
	request1 := s.request()
	node, err := w.node.call(request{Sides: []int{0}, Op: &request1})
	if err != nil {
		return nil, err
	}
	return append(node, w.ours.perform(ctx, s)), nil
}

func (w *world) compareDumps(ctx context.Context) (string, error) {
	var dumps [2]dump
	for side, client := range w.redis {
		var err error
		if dumps[side], err = takeDump(ctx, client, w.normal); err != nil {
			return "", err
		}
	}
	if w.batched {
		dumps[0].sortEvents()
		dumps[1].sortEvents()
	}
	return dumps[0].diff(dumps[1]), nil
}

// possible tells whether the step means anything now: a step on a slot needs
// a job in it, a step that fills slots needs them free. Sequences that were
// cut down have steps that do not.
func (w *world) possible(s *step) bool {
	ending := map[int]bool{}
	for _, e := range s.Endings {
		if w.slots[slotKey{s.Queue, e.Slot}] == nil || ending[e.Slot] {
			return false
		}
		ending[e.Slot] = true
	}
	for _, n := range s.Next {
		if w.slots[slotKey{s.Queue, n}] != nil && !ending[n] {
			return false
		}
	}
	held := w.slots[slotKey{s.Queue, s.Slot}]
	switch s.Do {
	case "extend":
		return held != nil
	case "note":
		// Node writes without looking at the lock, ours does not.
		return held != nil && !held.broken
	case "touch":
		return w.touchable(s, held)
	case "queue":
		// With a scheduler's job among the waiting ones, Node's drain leaves ids
		// without a job, which ours does not work (protocol 2.15, T45).
		return s.Method != "drain" || len(w.schedulers[s.Queue]) == 0
	}
	return true
}

// learn remembers the ids and the slots that the step has filled, and what it
// has changed about its queue.
func (w *world) learn(s *step, results []result) {
	switch s.Method {
	case "pause", "resume":
		w.paused[s.Queue] = s.Method == "pause"
	case "obliterate":
		w.paused[s.Queue] = results[0].Error != ""
	case "removeChildDependency":
		w.unlinked = true
	}
	switch s.Do {
	case "fetch", "settle":
		for _, e := range s.Endings {
			delete(w.slots, slotKey{s.Queue, e.Slot})
		}
		var node, ours taken
		_ = json.Unmarshal(results[0].OK, &node)
		_ = json.Unmarshal(results[1].OK, &ours)
		for i, job := range node.Jobs {
			if job.Refused == "" {
				w.overtake(s.Queue, job.ID)
				w.slots[slotKey{s.Queue, s.Next[i]}] = &slot{ids: [2]string{job.ID, ours.Jobs[i].ID}}
			}
			w.batched = w.batched || len(s.Next) > 1 && isRun(job.ID)
		}
	case "enqueue", "queue":
		w.learnIDs(s.Queue, results[0])
	}
}

// overtake notes that the lock of a job that is held already is another's now:
// a run that came twice, because its schedule was made older, has one id.
func (w *world) overtake(queue, id string) {
	for key, held := range w.slots {
		if key.queue == queue && held.ids[0] == id {
			held.broken = true
		}
	}
}

// learnIDs remembers the ids that a producer got.
func (w *world) learnIDs(queue string, r result) {
	var one string
	var many []string
	if json.Unmarshal(r.OK, &one) == nil {
		many = []string{one}
	} else if json.Unmarshal(r.OK, &many) != nil {
		return
	}
	for _, id := range many {
		switch {
		case isRun(id):
			scheduler, _, _ := strings.Cut(strings.TrimPrefix(id, runPrefix), ":")
			w.schedulers[queue] = append(w.schedulers[queue], scheduler)
		case id != "" && id != "object":
			w.ids[queue] = append(w.ids[queue], id)
		}
	}
}

// runPrefix is what the ids of runs of schedulers begin with.
const runPrefix = "repeat:"

func isRun(id string) bool { return strings.HasPrefix(id, runPrefix) }
