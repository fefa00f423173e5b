package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// load is a queue at work: jobs come in all the time, and two workers do them.
type load struct {
	t     *testing.T
	queue domain.QueueName

	mu sync.Mutex
	// accepted are the jobs that the queue has said to have, worked how often
	// each of them was done, in the order in which it was first.
	accepted map[domain.JobID]time.Time
	worked   map[domain.JobID]int
	latest   time.Time

	stopProducing, stopWorking context.CancelFunc
	producing, working         sync.WaitGroup
}

// unnamed returns those of the jobs that the log does not name.
func unnamed(log *diary, ids []domain.JobID) []domain.JobID {
	text := log.String()
	return slices.DeleteFunc(ids, func(id domain.JobID) bool {
		return regexp.MustCompile(`job_ids="?([^" ]*,)?` + string(id) + `[," ]`).MatchString(text)
	})
}

// wantNamed checks that the log names the jobs that a failover lost. That some
// are done twice may come of leases that ran out meanwhile.
func (l *load) wantNamed(log *diary, lost, twice []domain.JobID) {
	l.t.Helper()
	l.t.Logf("of %d jobs %d are lost and %d done twice", len(l.accepted), len(lost), len(twice))
	if lost = unnamed(log, lost); len(lost) > 0 {
		l.t.Errorf("the log does not name the lost jobs %v: %s", lost, log)
	}
}

// startLoad has a producer add a job every few milliseconds until the load is
// drained. Jobs are leased for so long.
func startLoad(t *testing.T, lease time.Duration, open func() *redisqueue.Backend) *load {
	t.Helper()
	l := &load{t: t, queue: "mail", accepted: map[domain.JobID]time.Time{}, worked: map[domain.JobID]int{}}
	producing, stopProducing := context.WithCancel(t.Context())
	working, stopWorking := context.WithCancel(t.Context())
	l.stopProducing, l.stopWorking = stopProducing, stopWorking
	producer := open()
	l.producing.Go(func() { l.produce(producing, producer) })
	for i := range 2 {
		backend := open()
		consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: l.queue, Worker: "w" + strconv.Itoa(i), Lease: lease})
		if err != nil {
			t.Fatal(err)
		}
		l.working.Go(func() { l.work(working, consumer) })
		l.working.Go(func() { l.recover(working, consumer) })
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	l.stopProducing()
	l.producing.Wait()
	l.stopWorking()
	l.working.Wait()
}

func (l *load) produce(ctx context.Context, backend *redisqueue.Backend) {
	for n := 0; ctx.Err() == nil; n++ {
		id := domain.JobID(fmt.Sprintf("job-%d", n))
		job := domain.NewJob{Queue: l.queue, Name: "send", Data: []byte(`{}`)}
		job.Options.ID = id
		results, err := backend.Enqueue(ctx, job)
		switch {
		case err == nil && results[0].Status == domain.Accepted:
			l.mu.Lock()
			l.accepted[id] = time.Now()
			l.mu.Unlock()
		case !errors.Is(err, context.Canceled):
			l.t.Errorf("Enqueue of %s = %+v, %v, want it accepted", id, results, err)
			return
		}
		<-time.After(3 * time.Millisecond)
	}
}

func (l *load) work(ctx context.Context, consumer ports.Consumer) {
	for {
		leases, err := consumer.Reserve(ctx, 10)
		if err != nil {
			if ctx.Err() == nil {
				l.t.Errorf("Reserve = %v, want no error", err)
			}
			return
		}
		settlements := make([]domain.Settlement, len(leases))
		l.mu.Lock()
		for i := range leases {
			l.worked[leases[i].Job.ID]++
			settlements[i] = domain.Settlement{Lease: leases[i].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}
		}
		l.latest = time.Now()
		l.mu.Unlock()
		if _, err := consumer.Settle(ctx, settlements, 0); err != nil && ctx.Err() == nil {
			l.t.Errorf("Settle = %v, want no error", err)
		}
	}
}

// recover looks for jobs whose leases ran out.
func (l *load) recover(ctx context.Context, consumer ports.Consumer) {
	for ctx.Err() == nil {
		if _, err := consumer.Recover(ctx); err != nil && ctx.Err() == nil {
			l.t.Errorf("Recover = %v, want no error", err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// reach waits until n jobs are done.
func (l *load) reach(n int) {
	l.t.Helper()
	for until := time.Now().Add(patience); l.done() < n; <-time.After(time.Millisecond) {
		if time.Now().After(until) {
			l.t.Fatalf("%d jobs are done, want %d", l.done(), n)
		}
	}
}

func (l *load) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.worked)
}

// after waits until more jobs are done, and returns how long that took.
func (l *load) after() time.Duration {
	l.t.Helper()
	began := time.Now()
	l.reach(l.done() + 5)
	return time.Since(began)
}

// patience bounds what a test waits for, however slow the machine is.
const patience = 60 * time.Second

// drain ends the load, and returns which of the accepted jobs were never done
// and which were done more than once. Those never done are waited for as long
// as the queue has any.
func (l *load) drain(reader *redisqueue.Backend) (lost, twice []domain.JobID) {
	l.t.Helper()
	l.stopProducing()
	l.producing.Wait()
	for until := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		counts, err := reader.Counts(l.t.Context(), l.queue)
		if err == nil && counts[0].Jobs[domain.StateWait]+counts[0].Jobs[domain.StateActive]+counts[0].Jobs[domain.StateDelayed] == 0 {
			break
		}
		if time.Now().After(until) {
			l.t.Fatalf("Counts = %+v, %v, want nothing left", counts, err)
		}
	}
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.accepted {
		switch n := l.worked[id]; {
		case n == 0:
			lost = append(lost, id)
		case n > 1:
			twice = append(twice, id)
		}
	}
	return lost, twice
}
