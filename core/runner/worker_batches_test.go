package runner_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// heldStore is a consumer whose calls of Settle take their time, and last until
// they are let go.
type heldStore struct {
	ports.Consumer // its other methods are not called

	jobs  int
	takes time.Duration

	mu      sync.Mutex
	leased  int
	batches []int
	under   int
	most    int
	let     chan struct{}
}

func (s *heldStore) take(limit int) []domain.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(limit, s.jobs-s.leased)
	leases := make([]domain.Lease, n)
	for i := range leases {
		s.leased++
		leases[i] = leaseOf(domain.JobOptions{})
		leases[i].Job.ID = domain.JobID(strconv.Itoa(s.leased))
	}
	return leases
}

func (s *heldStore) Reserve(ctx context.Context, limit int) ([]domain.Lease, error) {
	if leases := s.take(limit); len(leases) > 0 {
		return leases, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *heldStore) Settle(_ context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error) {
	s.mu.Lock()
	s.batches = append(s.batches, len(settlements))
	s.under++
	s.most = max(s.most, s.under)
	s.mu.Unlock()
	time.Sleep(s.takes)
	<-s.let
	s.mu.Lock()
	s.under--
	s.mu.Unlock()
	statuses := make([]domain.SettleStatus, len(settlements))
	for i := range statuses {
		statuses[i] = domain.Settled
	}
	return domain.SettleReply{Statuses: statuses, Leases: s.take(limit)}, nil
}

func (s *heldStore) Recover(context.Context) ([]domain.Recovered, error) { return nil, nil }

func (s *heldStore) Extend(context.Context, []domain.LeaseRef) ([]domain.LeaseRef, error) {
	return nil, nil
}

// started are the batches that were begun, and how many of them at once.
func (s *heldStore) started() (batches []int, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.batches, s.most
}

// openHeld starts a runner on the store.
func openHeld(t *testing.T, store *heldStore, handler runner.Route) *desk {
	t.Helper()
	store.let = make(chan struct{})
	d := prepare(t, handlers{"send": handler}, func(d *desk) {
		d.concurrency = 100
		d.ports.OpenConsumer = func(ports.ConsumerOptions) (ports.Consumer, error) { return store, nil }
	})
	d.start()
	return d
}

func TestABusyWorkerOfADistantStoreHasTwoBatchesUnderWay(t *testing.T) {
	t.Parallel()
	for takes, want := range map[time.Duration]int{time.Millisecond: 2, 10 * time.Microsecond: 1} {
		synctest.Test(t, func(t *testing.T) {
			const jobs = 1000
			store := &heldStore{jobs: jobs, takes: takes}
			d := openHeld(t, store, returns(nil))
			close(store.let)
			pass(time.Second)
			d.wantCounts(map[domain.Event]int{domain.EventCompleted: jobs})
			if batches, most := store.started(); most != want {
				t.Errorf("calls of %s: batches %v, %d at once, want %d", takes, batches, most, want)
			}
			if report := d.stop(runner.StopBudget{Drain: time.Minute}); report.Jobs != 0 {
				t.Errorf("the stop left %d jobs, want none", report.Jobs)
			}
		})
	}
}

func TestFewOutcomesWaitForTheBatchUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		others := make(chan struct{})
		store := &heldStore{jobs: 30, takes: time.Millisecond}
		d := openHeld(t, store, route(func(_ context.Context, job *domain.Job) ([]byte, error) {
			if job.ID != "1" {
				<-others
			}
			return nil, nil
		}))
		pass(time.Second)
		close(others)
		pass(time.Second)
		if batches, _ := store.started(); !slices.Equal(batches, []int{1}) {
			t.Errorf("batches %v, want that of the first outcome alone", batches)
		}
		close(store.let)
		pass(time.Second)
		if batches, _ := store.started(); !slices.Equal(batches, []int{1, 29}) {
			t.Errorf("batches %v, want one more of all others", batches)
		}
		d.wantCounts(map[domain.Event]int{domain.EventCompleted: 30})
	})
}
