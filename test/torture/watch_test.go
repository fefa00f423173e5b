package torture_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/test/redistest"
)

// On a busy machine Redis or a worker may come to nothing for so long that
// leases run out, without any blow of ours. Whoever sees that notes it.
const (
	lookTime  = 50 * time.Millisecond
	stallTime = leaseTime / 4
)

// watchServer notes whenever a plain write to the server takes
// long. It ends with the test.
func (d desk) watchServer(t testing.TB, server *redistest.Server) {
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr, MaxRetries: -1, DisableIdentity: true, PoolSize: 1, DialerRetries: 1,
		DialTimeout: time.Minute, ReadTimeout: time.Minute, WriteTimeout: time.Minute,
	})
	ctx, stop := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() {
		d.look(ctx, stalledServer, 0, func() error { return client.Set(ctx, "torture:watch", 1, 0).Err() })
	})
	t.Cleanup(func() {
		stop()
		_ = client.Close()
		loop.Wait()
	})
}

// watchSelf notes whenever this process does not come to run.
func (d desk) watchSelf(ctx context.Context, pid int) {
	d.look(ctx, stalledWorker, pid, func() error { return nil })
}

// look tries something at intervals, and notes when it took long to succeed.
func (d desk) look(ctx context.Context, kind blowKind, pid int, try func() error) {
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for latest := instant(); ; {
		if try() == nil {
			now := instant()
			if now-latest > stallTime.Nanoseconds() {
				_ = appendTo(d.blows(), blow{Kind: kind, PID: pid, From: latest, Until: now}.line())
			}
			latest = now
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
