package interop_test

import (
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/interop/node"
)

// finishedSets are what queues keep metrics of.
func finishedSets() []string { return []string{"completed", "failed"} }

// overMinutes has jobs added that end up in the set in three different minutes:
// the clock goes on by moving back when the last one is said to have been.
func overMinutes(t *testing.T, l *lab, set string) string {
	t.Helper()
	queue := l.Queue("mail")
	for _, batch := range []struct{ jobs, minutes int64 }{{3, 0}, {1, 1}, {1, 3}} {
		metrics := key("metrics:" + set)
		if batch.minutes > 0 {
			must(t, l.redis.HIncrBy(t.Context(), metrics, "prevTS", -batch.minutes*60_000))
		}
		done := len(l.scores(set))
		for range batch.jobs {
			queue.Add(set, node.Opts{})
		}
		l.awaitCount(set, done+int(batch.jobs))
	}
	metrics := node.Decode[struct {
		Meta struct {
			Count     int `json:"count"`
			PrevCount int `json:"prevCount"`
		} `json:"meta"`
		Data  node.Value `json:"data"`
		Count int        `json:"count"`
	}](t, queue.Call("getMetrics", set))
	if metrics.Meta.Count != 5 {
		t.Errorf("metrics = %+v, want a count of 5", metrics)
	}
	return string(metrics.Data)
}

func TestCheck71_TheMetricsAreThoseOfNodesWorker(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		byNode := newLab(t, l.Version)
		byNode.Worker("mail", node.Steps{"failed": {node.Fail("no")}}, node.Opts{"metrics": node.Opts{"maxDataPoints": 60}})
		l.workInMinutes()
		for _, set := range finishedSets() {
			want := overMinutes(t, byNode, set)
			if got := overMinutes(t, l, set); got != want {
				t.Errorf("data of %s = %s, want node's %s", set, got, want)
			}
		}
	})
}

// workInMinutes starts a worker that keeps metrics, and has jobs end up in the
// set that is their name.
func (l *lab) workInMinutes() {
	l.t.Helper()
	l.work(work{
		handlers: handlers{"completed": echo, "failed": fails(errBusy)},
		config:   func(c *redisqueue.Config) { c.MetricsMinutes = 60 },
	})
}
