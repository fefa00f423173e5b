package interop_test

import (
	"maps"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/interop/node"
)

// Options of how Node's classes connect and what they keep of a queue.

func TestThePrefixNamesOneSetOfQueuesForBoth(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		other := l.Prefixed("mine")
		mine := l.backend(func(c *redisqueue.Config) { c.Prefix = "mine" })
		events := other.Events("mail")
		results, err := mine.Enqueue(t.Context(), job("send", `1`))
		if err != nil {
			t.Fatal(err)
		}
		if got := other.Queue("mail").MustJob(string(results[0].ID)); got.Name != "send" {
			t.Errorf("node's job of the prefix = %+v, want takt's", got)
		}
		other.Worker("mail", node.Steps{}).Await(t, 1, "completed")
		events.Await(t, 1, "completed")

		added := node.Decode[struct {
			Job node.Job `json:"job"`
		}](t, other.Flow().Call("add", node.Opts{"name": "send", "queueName": "mail", "data": 2}))
		l.work(work{handlers: handlers{"send": echo}, config: func(c *redisqueue.Config) { c.Prefix = "mine" }})
		await(t, "takt to work the queue of the prefix", func() bool {
			return l.redis.ZScore(t.Context(), "mine:mail:completed", added.Job.ID).Err() == nil
		})
		l.wantNoKeys()
	})
}

// Options that leave no trace in Redis leave jobs as they are.
func TestOptionsOfTheConnectionChangeNothingBetweenNodeAndTakt(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		order := &journal{}
		l.work(work{queue: "theirs", handlers: handlers{"send": order.note}})
		for n, opts := range []node.Opts{
			{"blockingConnection": true}, {"skipVersionCheck": true}, {"skipWaitingForReady": true},
		} {
			queue := l.Queue("mail", opts)
			l.Worker("mail", node.Steps{}, opts)
			events := l.New("QueueEvents", mergeOpts(opts, node.Opts{"lastEventId": "0-0"}), "mail")
			flow := l.New("FlowProducer", opts)
			id := l.put("send", `1`)
			l.awaitIn("completed", id)
			events.Await(t, 1, "completed")
			if got := string(queue.MustJob(id).ReturnValue); got != "1" {
				t.Errorf("%v: result = %s, want that of takt's job", opts, got)
			}
			flow.Call("add", node.Opts{"name": "send", "queueName": "theirs", "data": 2})
			await(t, "takt to work the flow's job", func() bool { return len(order.ids()) == n+1 })
		}
	})
}

func mergeOpts(all ...node.Opts) node.Opts {
	merged := node.Opts{}
	for _, opts := range all {
		maps.Copy(merged, opts)
	}
	return merged
}

// What the queue says of new jobs is in the jobs that Takt gets.
func TestDefaultsOfNodesQueueReachTakt(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail", node.Opts{"defaultJobOptions": node.Opts{"attempts": 4, "priority": 2, "removeOnFail": true}})
		queue.Add("send", 1)
		lease := l.desk().next()
		if got := lease.Job.Options; got.Attempts != 4 || got.Priority != 2 || !got.KeepFailed.Limited {
			t.Errorf("options = %+v, want those of the queue", got)
		}
		if got := node.Decode[node.Opts](t, queue.Get("defaultJobOptions")); got["attempts"] != 4.0 {
			t.Errorf("defaultJobOptions = %v, want those of the queue", got)
		}
	})
}

// The length of the stream is the queue's, and Takt keeps to it.
func TestTheStreamOfEventsIsAsLongAsTheQueueSays(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		const most, slack = 50, 150 // Redis trims whole nodes of a stream
		l.Queue("mail", node.Opts{"streams": node.Opts{"events": node.Opts{"maxLen": most}}})
		await(t, "the length in the meta key", func() bool {
			return l.redis.HGet(t.Context(), key("meta"), "opts.maxLenEvents").Val() == "50"
		})
		l.work(work{handlers: handlers{"send": echo}, concurrency: 8})
		for n := range 200 {
			l.put("send", `1`)
			if n%50 == 49 {
				l.awaitCount("completed", n+1)
			}
		}
		if n := must(t, l.redis.XLen(t.Context(), key("events"))); n > most+slack {
			t.Errorf("%d events are kept, want about %d", n, most)
		}
	})
}

func TestAQueueThatLeavesTheMetaKeyAloneTakesTaktsJobs(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail", node.Opts{"skipMetasUpdate": true})
		queue.Add("send", 1)
		if must(t, l.redis.HExists(t.Context(), key("meta"), "version")) {
			t.Error("the meta key has a version, want none of a queue that does not write it")
		}
		id := l.put("send", `2`)
		l.work(work{handlers: handlers{"send": echo}})
		l.awaitCount("completed", 2)
		if got := string(queue.MustJob(id).ReturnValue); got != "2" {
			t.Errorf("result = %s, want that of takt's job", got)
		}
	})
}
