package redisqueue_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/redistest"
)

func openSentinels(t testing.TB, sentinels *redistest.Sentinels, change func(*redisqueue.Config)) *redisqueue.Backend {
	t.Helper()
	return open(t, sentinels.Servers[0], func(c *redisqueue.Config) {
		c.Connection = redisqueue.Connection{Sentinel: &redisqueue.Sentinel{Primary: sentinels.Name, Addrs: sentinels.Addrs()}}
		if change != nil {
			change(c)
		}
	})
}

func TestWorkGoesOnAfterAFailoverOfSentinels(t *testing.T) {
	t.Parallel()
	for about, c := range map[string]struct{ end, begin func(*redistest.Server) }{
		"a primary that dies":  {(*redistest.Server).Kill, (*redistest.Server).Restart},
		"a primary that hangs": {(*redistest.Server).Pause, (*redistest.Server).Continue},
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			sentinels := redistest.StartSentinels(t, 2, "--min-replicas-to-write", "1")
			log := &diary{}
			open := func() *redisqueue.Backend {
				return openSentinels(t, sentinels, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
			}
			load := startLoad(t, 10*time.Second, open)
			load.reach(50)
			for range rounds() {
				old := sentinels.Primary()
				c.end(old)
				ended := time.Now()
				_, serving := sentinels.AwaitPrimary(old)
				t.Logf("the new primary serves %s after the old one ended", serving.Sub(ended).Round(time.Millisecond))
				load.after()
				wantResumed(t, time.Since(serving))
				sentinels.AwaitAgreement(old)
				c.begin(old)
				sentinels.AwaitCalm()
			}
			lost, twice := load.drain(open())
			load.wantNamed(log, lost, twice)
		})
	}
}
