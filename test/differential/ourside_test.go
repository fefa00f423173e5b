package differential_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

const (
	lockDuration    = time.Hour
	stalledInterval = 5 * time.Hour
)

// queues are those of every sequence.
func queues() []string { return []string{"work", "boss"} }

// ourSide is Takt on one database. Backends are kept, one for each setup.
type ourSide struct {
	connection redisqueue.Connection
	profile    redisqueue.Profile
	backends   map[setup]*ourBackend

	*ourBackend
	held map[slotKey]domain.Lease
}

type ourBackend struct {
	backend   *redisqueue.Backend
	consumers map[string]ports.Consumer
}

type slotKey struct {
	queue string
	slot  int
}

func newOurSide(t *testing.T, server *redistest.Server, database int, profile redisqueue.Profile) *ourSide {
	t.Helper()
	o := &ourSide{
		connection: redisqueue.Connection{Addr: server.Addr, DB: database}, profile: profile,
		backends: map[setup]*ourBackend{},
	}
	t.Cleanup(func() {
		for _, b := range o.backends {
			if err := b.backend.Close(); err != nil {
				t.Errorf("Close = %v, want no error", err)
			}
		}
	})
	return o
}

// reset begins a sequence.
func (o *ourSide) reset(s setup) error {
	o.held = map[slotKey]domain.Lease{}
	if o.ourBackend = o.backends[s]; o.ourBackend != nil {
		return nil
	}
	backend, err := redisqueue.New(o.config(s))
	if err != nil {
		return err
	}
	o.ourBackend = &ourBackend{backend: backend, consumers: map[string]ports.Consumer{}}
	o.backends[s] = o.ourBackend
	for _, queue := range queues() {
		c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: domain.QueueName(queue), Worker: s.Name, Lease: lockDuration})
		if err != nil {
			return err
		}
		o.consumers[queue] = c
	}
	return nil
}

func (o *ourSide) config(s setup) redisqueue.Config {
	config := redisqueue.Config{
		Connection: o.connection, Profile: o.profile, MaxCrashes: 1, StalledInterval: stalledInterval, MetricsMinutes: s.Metrics,
	}
	if s.Limiter > 0 {
		config.Limits = map[domain.QueueName]redisqueue.RateLimit{}
		for _, queue := range queues() {
			config.Limits[domain.QueueName(queue)] = redisqueue.RateLimit{Max: s.Limiter, Per: time.Hour}
		}
	}
	if s.KeepCompleted > 0 {
		config.KeepCompleted = domain.KeepLast(s.KeepCompleted)
	}
	if s.KeepFailed > 0 {
		config.KeepFailed = domain.KeepLast(s.KeepFailed)
	}
	return config
}

var errNotOurs = errors.New("not a step of ours")

// perform carries out the step and returns what the Node driver returns of
// its own.
func (o *ourSide) perform(ctx context.Context, s *step) result {
	value, err := o.answer(ctx, s)
	if err != nil {
		return result{Error: ourClassOf(err)}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return result{Error: err.Error()}
	}
	return result{OK: text}
}

func (o *ourSide) answer(ctx context.Context, s *step) (any, error) {
	switch s.Do {
	case "enqueue":
		return o.enqueue(ctx, s)
	case "fetch":
		jobs, err := o.take(ctx, s, nil)
		return taken{Jobs: jobs}, err
	case "settle":
		return o.settle(ctx, s)
	case "extend":
		return o.extend(ctx, s)
	case "note":
		return o.note(ctx, s)
	case "queue", "job", "scheduled", "flow", "events", "get":
		return o.operate(ctx, s)
	case "recover":
		_, err := o.consumers[s.Queue].Recover(ctx)
		return nil, err
	}
	return nil, errNotOurs
}

func (o *ourSide) enqueue(ctx context.Context, s *step) (any, error) {
	jobs := make([]domain.NewJob, len(s.Jobs))
	for i := range s.Jobs {
		jobs[i] = s.Jobs[i].ours(s.Queue)
	}
	results, err := o.backend.Enqueue(ctx, jobs...)
	if err != nil {
		return nil, err
	}
	if len(results) == 1 {
		return results[0].ID, nil
	}
	ids := make([]domain.JobID, len(results))
	for i := range results {
		ids[i] = results[i].ID
	}
	return ids, nil
}

func (o *ourSide) extend(ctx context.Context, s *step) (any, error) {
	lease := o.held[slotKey{s.Queue, s.Slot}]
	lost, err := o.consumers[s.Queue].Extend(ctx, []domain.LeaseRef{lease.Ref()})
	return statusText(len(lost) == 0), err
}

func (o *ourSide) note(ctx context.Context, s *step) (any, error) {
	lease := o.held[slotKey{s.Queue, s.Slot}]
	note := domain.Note{Lease: lease.Ref(), Data: s.Data, Progress: s.Progress, Log: s.Lines}
	lost, err := o.consumers[s.Queue].Annotate(ctx, []domain.Note{note})
	return statusText(len(lost) == 0), err
}

func statusText(settled bool) string {
	if settled {
		return "settled"
	}
	return "lost"
}
