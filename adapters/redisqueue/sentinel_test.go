package redisqueue_test

import (
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
	for about, end := range map[string]func(*redistest.Server){
		"a primary that dies":  (*redistest.Server).Kill,
		"a primary that hangs": (*redistest.Server).Pause,
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			sentinels := redistest.StartSentinels(t, 2)
			open := func() *redisqueue.Backend { return openSentinels(t, sentinels, nil) }
			load := startLoad(t, 3*time.Second, open)
			load.reach(50)
			old := sentinels.Servers[0]
			end(old)
			ended := time.Now()
			serving := sentinels.AwaitPrimary(old)
			t.Logf("the new primary serves %s after the old one ended", serving.Sub(ended))
			load.after()
			took := time.Since(serving)
			t.Logf("work goes on %s after the new primary serves", took)
			if took > resumeGoal {
				t.Errorf("work goes on %s after the new primary serves, want %s at most", took, resumeGoal)
			}
			lost, twice := load.drain(open())
			t.Logf("of %d jobs %d are lost and %d done twice", len(load.accepted), len(lost), len(twice))
			old.Continue()
		})
	}
}
