package differential_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// twin is what Takt has for a method of Node's.
type twin struct {
	// call does it, and returns what Node's answer is compared with: nothing if
	// ours has no answer.
	call func(*call, context.Context) (any, error)
	// alike tells whether ours is to leave what Node leaves, as things are now;
	// nil if it always is.
	alike func(*world, context.Context, *step) (bool, error)
	// even takes away on Node's side what ours does more, before the step.
	even func(*world, context.Context, *step) error
	// releases tells that Node makes parents ready that it then removes.
	releases bool
	// refuses tells that either side may say that it has not done a part of it.
	refuses bool
	// unordered tells that the order of the answer says nothing.
	unordered bool
}

// twins has what Takt does for the steps of producers and operators, by their
// receivers and methods.
func twins() map[string]twin {
	all := map[string]twin{}
	for _, some := range []map[string]twin{
		queueTwins(), bulkTwins(), limitTwins(), jobTwins(), byQueueTwins(), writeTwins(), scheduledTwins(), schedulerTwins(), addTwins(), flowTwins(), eventTwins(), getterTwins(),
	} {
		maps.Copy(all, some)
	}
	return all
}

func twinOf(s *step) (twin, bool) {
	t, ok := twins()[s.Do+" "+s.Method]
	return t, ok
}

// byOurs tells whether Takt carries out the step on its side, and how. Where it
// would differ by intention, Node does it on both.
func (w *world) byOurs(ctx context.Context, s *step) (twin, bool, error) {
	t, ok := twinOf(s)
	if !ok || !s.Ours || t.alike == nil {
		return t, ok && s.Ours, nil
	}
	alike, err := t.alike(w, ctx, s)
	return t, alike, err
}

// operated carries out a step of producers and operators.
func (w *world) operated(ctx context.Context, s *step) ([]result, error) {
	t, ours, err := w.byOurs(ctx, s)
	if err != nil {
		return nil, err
	}
	if s.Ours {
		w.tally.add(s, ours)
	}
	if !ours {
		return w.node.call(request{Sides: []int{0, 1}, Op: s})
	}
	if t.even != nil {
		if err := t.even(w, ctx, s); err != nil {
			return nil, fmt.Errorf("make even: %w", err)
		}
	}
	var last lastEvents
	if t.releases {
		if last, err = w.lastEvents(ctx); err != nil {
			return nil, err
		}
	}
	results, err := w.node.call(request{Sides: []int{0}, Op: s})
	if err != nil {
		return nil, err
	}
	results = append(results, w.ours.perform(ctx, s))
	t.compare(&results[0], &results[1])
	if t.releases {
		w.unmarked = true
		return results, w.retell(ctx, last, results)
	}
	return results, nil
}

// compare makes the answers comparable.
func (t *twin) compare(node, takt *result) {
	node.Error = classOf(node.Error)
	if takt.Error == errPassedOver.Error() && node.Error != "" {
		*takt = *node
	}
	if takt.Error == "" && bytes.Equal(takt.OK, []byte("null")) {
		node.OK = takt.OK
	}
	if t.refuses && (node.Error != "" || takt.Error != "") {
		*node, *takt = result{}, result{}
	}
	if t.unordered {
		node.OK, takt.OK = sorted(node.OK), sorted(takt.OK)
	}
}

// sorted puts a list of texts in order.
func sorted(text json.RawMessage) json.RawMessage {
	var list []string
	if json.Unmarshal(text, &list) != nil {
		return text
	}
	slices.Sort(list)
	out, err := json.Marshal(list)
	if err != nil {
		return text
	}
	return out
}

// call is a step that ours carries out, with the queue that it is about.
type call struct {
	*step

	backend *redisqueue.Backend
	queue   *redisqueue.Queue
}

func (o *ourSide) operate(ctx context.Context, s *step) (any, error) {
	t, ok := twinOf(s)
	if !ok {
		return nil, errNotOurs
	}
	c := &call{step: s, backend: o.backend}
	if s.Queue != "" {
		var err error
		if c.queue, err = o.backend.Queue(domain.QueueName(s.Queue)); err != nil {
			return nil, err
		}
	}
	return t.call(c, ctx)
}

// id is the id of the job that the step is about.
func (c *call) id() domain.JobID { return domain.JobID(c.ID) }

// name is the name of the queue.
func (c *call) name() domain.QueueName { return domain.QueueName(c.Queue) }

// argument reads an argument of the method, which was made up or read from a
// file; the zero value if there is none.
func argument[T any](s *step, i int) T {
	var value T
	if i >= len(s.Args) {
		return value
	}
	if text, err := json.Marshal(s.Args[i]); err == nil {
		_ = json.Unmarshal(text, &value)
	}
	return value
}

// raw returns an argument as JSON.
func raw(s *step, i int) json.RawMessage { return argument[json.RawMessage](s, i) }

// nothing leaves out what ours answers where Node has no answer.
func nothing(err error) (any, error) { return nil, err }

func unanswered[T any](_ T, err error) (any, error) { return nil, err }
