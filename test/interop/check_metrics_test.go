package interop_test

import (
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/interop/node"
)

// overMinutes has jobs finished in three different minutes: the clock goes on
// by moving back when the last one is said to have been.
func overMinutes(t *testing.T, l *lab) string {
	t.Helper()
	queue := l.Queue("mail")
	for _, batch := range []struct{ jobs, minutes int64 }{{3, 0}, {1, 1}, {1, 3}} {
		metrics := key("metrics:completed")
		if batch.minutes > 0 {
			must(t, l.redis.HIncrBy(t.Context(), metrics, "prevTS", -batch.minutes*60_000))
		}
		done := len(l.scores("completed"))
		for range batch.jobs {
			queue.Add("send", node.Opts{})
		}
		l.awaitCount("completed", done+int(batch.jobs))
	}
	metrics := node.Decode[struct {
		Meta struct {
			Count     int `json:"count"`
			PrevCount int `json:"prevCount"`
		} `json:"meta"`
		Data  node.Value `json:"data"`
		Count int        `json:"count"`
	}](t, queue.Call("getMetrics", "completed"))
	if metrics.Meta.Count != 5 {
		t.Errorf("metrics = %+v, want a count of 5", metrics)
	}
	return string(metrics.Data)
}

func TestCheck71_TheMetricsAreThoseOfNodesWorker(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		byNode := newLab(t, l.Version)
		byNode.Worker("mail", node.Steps{}, node.Opts{"metrics": node.Opts{"maxDataPoints": 60}})
		want := overMinutes(t, byNode)
		l.work(work{handlers: handlers{"send": echo}, config: func(c *redisqueue.Config) { c.MetricsMinutes = 60 }})
		if got := overMinutes(t, l); got != want {
			t.Errorf("data = %s, want node's %s", got, want)
		}
	})
}
