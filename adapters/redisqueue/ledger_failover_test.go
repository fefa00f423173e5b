package redisqueue_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// ticker claims the ticks of one job, second by second of its own time, as one
// of several replicas.
type ticker struct {
	mu      sync.Mutex
	granted map[domain.RunKey]int
}

func (k *ticker) run(ctx context.Context, t *testing.T, ledger *redisqueue.Ledger, replica string, cursor time.Time) {
	for ctx.Err() == nil {
		tick := tickAfter(cursor)
		tick.Replica = replica
		verdicts, err := ledger.Claim(ctx, []domain.Intent{tick})
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("Claim of %s = %v, want no error", replica, err)
			}
			return
		}
		if verdicts[0].Kind == domain.Granted {
			k.mu.Lock()
			k.granted[tick.Run]++
			k.mu.Unlock()
			end := domain.RunResult{Claim: verdicts[0].Claim.Ref(), End: domain.EndFinished}
			if _, err := ledger.Finish(ctx, []domain.RunResult{end}); err != nil && ctx.Err() == nil {
				t.Errorf("Finish of %s = %v, want no error", replica, err)
			}
		}
		cursor = tick.Move.To
		<-time.After(5 * time.Millisecond)
	}
}

func (k *ticker) ticks() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.granted)
}

func TestEachTickIsClaimedOnceOverAFailover(t *testing.T) {
	t.Parallel()
	sentinels := redistest.StartSentinels(t, 1)
	log, k := &diary{}, &ticker{granted: map[domain.RunKey]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var replicas sync.WaitGroup
	defer replicas.Wait()
	defer stop()
	for _, replica := range []string{"ann", "bob"} {
		backend := openSentinels(t, sentinels, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
		ledger := backend.Ledger()
		cursor := syncLedger(t, ledger, domain.SyncRequest{Replica: replica, Definitions: manyDefinitions(1, "v1")}).Jobs[0].Cursor
		replicas.Go(func() { k.run(ctx, t, ledger, replica, cursor) })
	}
	reach := func(n int) {
		for until := time.Now().Add(patience); k.ticks() < n; <-time.After(5 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%d ticks are claimed, want %d", k.ticks(), n)
			}
		}
	}
	reach(50)
	old := sentinels.Servers[0]
	old.Kill()
	sentinels.AwaitPrimary(old)
	reach(k.ticks() + 50)
	stop()
	replicas.Wait()
	named := 0
	for run, n := range k.granted {
		if n == 1 {
			continue
		}
		if named++; !strings.Contains(log.String(), run.String()) {
			t.Errorf("%s was claimed %d times, and the log names no lost claim of it: %s", run, n, log)
		}
	}
	t.Logf("%d ticks, %d of them claimed twice because their claim was lost", k.ticks(), named)
}
