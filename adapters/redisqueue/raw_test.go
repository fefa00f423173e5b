package redisqueue_test

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// rawQueue is the queue "q" of a server of its own, seen both through a
// backend and as what lies in Redis.
type rawQueue struct {
	testing.TB

	server  *redistest.Server
	rdb     *redis.Client
	backend *redisqueue.Backend
}

func newRawQueue(t testing.TB, change func(*redisqueue.Config)) *rawQueue {
	t.Helper()
	server := redistest.Start(t)
	// RESP2, in which scores are the text that Redis writes.
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr, Protocol: 2, MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = rdb.Close() })
	return &rawQueue{TB: t, server: server, rdb: rdb, backend: open(t, server, change)}
}

func (r *rawQueue) consumer() ports.Consumer {
	r.Helper()
	c, err := r.backend.OpenConsumer(ports.ConsumerOptions{Queue: "q", Worker: "w", Lease: 30 * time.Second})
	if err != nil {
		r.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	return c
}

// add enqueues one job named n.
func (r *rawQueue) add(options domain.JobOptions) {
	r.Helper()
	results, err := r.backend.Enqueue(r.Context(), domain.NewJob{Queue: "q", Name: "n", Options: options})
	if err != nil || results[0].Status != domain.Accepted {
		r.Fatalf("Enqueue = %v, %v, want it accepted", results, err)
	}
}

// do sends commands as one writes them at a prompt, words apart by spaces.
func (r *rawQueue) do(commands ...string) {
	r.Helper()
	pipe := r.rdb.Pipeline()
	answers := make([]*redis.Cmd, len(commands))
	for i, command := range commands {
		var args []any
		for word := range strings.FieldsSeq(command) {
			args = append(args, word)
		}
		answers[i] = pipe.Do(r.Context(), args...)
	}
	_, _ = pipe.Exec(r.Context()) // the answers have the errors, too
	for i, answer := range answers {
		if err := answer.Err(); err != nil {
			r.Fatalf("%s = %v, want no error", commands[i], err)
		}
	}
}

// child stores a job with a parent, as flows do; more are further fields.
func (r *rawQueue) child(id, parent string, more ...string) {
	r.Helper()
	r.do("HSET bull:q:"+id+" name n data {} opts {} timestamp 1 delay 0 priority 0 parentKey bull:q:"+parent+" parent {}",
		"SADD bull:q:"+parent+":dependencies bull:q:"+id)
	if len(more) > 0 {
		r.do("HSET bull:q:" + id + " " + strings.Join(more, " "))
	}
}

// parent stores a job that waits for its children.
func (r *rawQueue) parent(id string) {
	r.Helper()
	r.do("HSET bull:q:"+id+" name n data {} opts {} timestamp 1 delay 0 priority 0", "ZADD bull:q:waiting-children 1 "+id)
}

func (r *rawQueue) apply(op domain.Operation, want ...domain.JobID) {
	r.Helper()
	got, err := r.backend.Apply(r.Context(), "q", op)
	if err != nil || !slices.Equal(got, want) {
		r.Errorf("Apply(%s) = %v, %v, want %v", op.Kind, got, err, want)
	}
}

func (r *rawQueue) wantList(key string, want ...string) {
	r.Helper()
	if got, err := r.rdb.LRange(r.Context(), key, 0, -1).Result(); err != nil || !slices.Equal(got, want) {
		r.Errorf("%s = %v, %v, want %v", key, got, err, want)
	}
}

func (r *rawQueue) wantKey(key string, want bool) {
	r.Helper()
	if got := r.rdb.Exists(r.Context(), key).Val() == 1; got != want {
		r.Errorf("EXISTS %s = %v, want %v", key, got, want)
	}
}

// wantEvents checks the events since the last check, each its values without
// their names: "waiting 1 delayed".
func (r *rawQueue) wantEvents(want ...string) {
	r.Helper()
	if got := r.events(); !slices.Equal(got, want) {
		r.Errorf("events = %q, want %q", got, want)
	}
}

func (r *rawQueue) events() []string {
	r.Helper()
	raw, err := r.rdb.Do(r.Context(), "XRANGE", "bull:q:events", "-", "+").Slice()
	if err != nil {
		r.Fatalf("XRANGE = %v, want the events", err)
	}
	var events []string
	for _, entry := range raw {
		fields := entry.([]any)[1].([]any)
		var values []string
		for i := 1; i < len(fields); i += 2 {
			values = append(values, fields[i].(string))
		}
		events = append(events, strings.Join(values, " "))
	}
	r.rdb.Del(r.Context(), "bull:q:events")
	return events
}

// dump returns everything in the database, what kind of key it is in front. The
// server's own encoding may change when nothing else does.
func (r *rawQueue) dump() map[string]string {
	r.Helper()
	all := map[string]string{}
	for key, held := range r.held("*") {
		all[key] = held.kind + " " + held.text
	}
	return all
}

// views returns the jobs that the filter selects.
func (r *rawQueue) views(filter domain.JobFilter) []domain.JobView {
	r.Helper()
	views, err := r.backend.Jobs(r.Context(), "q", filter)
	if err != nil {
		r.Fatalf("Jobs(%+v) = %v, want no error", filter, err)
	}
	return views
}

func viewIDs(views []domain.JobView) []domain.JobID {
	ids := make([]domain.JobID, 0, len(views))
	for i := range views {
		ids = append(ids, views[i].Job.ID)
	}
	return ids
}

// reserve leases up to limit jobs within a moment.
func reserve(t testing.TB, c ports.Consumer, limit int) []domain.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	leases, err := c.Reserve(ctx, limit)
	if err != nil {
		t.Fatalf("Reserve = %v, want leases", err)
	}
	return leases
}

func settleOne(t testing.TB, c ports.Consumer, lease *domain.Lease, outcome domain.Outcome) {
	t.Helper()
	reply, err := c.Settle(t.Context(), []domain.Settlement{{Lease: lease.Ref(), Outcome: outcome}}, 0)
	if err != nil || reply.Statuses[0] != domain.Settled {
		t.Fatalf("Settle(%s) = %v, %v, want it settled", lease.Job.ID, reply.Statuses, err)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, cmp.Compare[string])
	return keys
}
