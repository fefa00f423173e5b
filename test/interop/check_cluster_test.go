package interop_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

// clusterLab is a lab on a cluster, with the prefix in braces on both sides.
type clusterLab struct {
	*lab

	cluster *redistest.Cluster
}

func newClusterLab(t *testing.T, version string) *clusterLab {
	t.Helper()
	cluster := redistest.StartCluster(t, 3)
	client := node.ConnectCluster(t, sharedAgent(t, version), cluster.Addrs()...).Prefixed("{bull}")
	owner := cluster.Owner("{bull}")
	return &clusterLab{lab: &lab{Client: client, t: t, server: owner, redis: owner.Client()}, cluster: cluster}
}

// here has a backend work in the cluster.
func (l *clusterLab) here(c *redisqueue.Config) {
	c.Connection, c.Prefix = redisqueue.Connection{Nodes: l.cluster.Addrs()}, "{bull}"
}

// awaitState waits until Node sees the job in the state.
func awaitState(t *testing.T, queue *node.Queue, id, state string) {
	t.Helper()
	await(t, "job "+id+" to be "+state, func() bool { return queue.State(id) == state })
}

func TestCheck75_NodeAndTaktShareACluster(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, single *lab) {
		l := newClusterLab(t, single.Version)
		t.Run("01", l.nodeAddsAndTaktCompletes)
		t.Run("02", l.taktAddsAndNodeSeesItAsSent)
		t.Run("57", l.taktWorksAFlowOfNodes)
		t.Run("getWorkers", l.nodeSeesTaktsWorkers)
		t.Run("Workers", l.taktSeesNodesWorkers)
		t.Run("moved", l.bothFollowTheSlot)
	})
}

func (l *clusterLab) nodeAddsAndTaktCompletes(t *testing.T) {
	queue := l.Queue("mail")
	id := queue.Add("send", node.Opts{"a": 1}).ID
	l.work(work{config: l.here, handlers: handlers{"send": returns(`{"ok":1}`)}})
	awaitState(t, queue, id, "completed")
	got := queue.MustJob(id)
	if string(got.ReturnValue) != `{"ok":1}` || got.AttemptsMade != 1 || got.AttemptsStarted != 1 {
		t.Errorf("job = %+v, want the result and one attempt", got)
	}
}

func (l *clusterLab) taktAddsAndNodeSeesItAsSent(t *testing.T) {
	worker := l.Worker("letters", node.Steps{})
	added := domain.NewJob{Queue: "letters", Name: "send", Data: []byte(`{"a":[1,"x"]}`)}
	added.Options.Attempts = 3
	if _, err := l.backend(l.here).Enqueue(t.Context(), added); err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
	got := node.Decode[node.Job](t, worker.Await(t, 1, "completed")[0].Args[0])
	if got.Name != "send" || string(got.Data) != `{"a":[1,"x"]}` || got.Opts["attempts"] != 3.0 {
		t.Errorf("job = %+v, want name, data and attempts as sent", got)
	}
}

func (l *clusterLab) taktWorksAFlowOfNodes(t *testing.T) {
	queue := l.Queue("wholes")
	l.Flow().Call("add", node.Opts{
		"name": "all", "queueName": "wholes", "data": "root", "opts": node.Opts{"jobId": "root"},
		"children": []node.Opts{child("good", node.Opts{"jobId": "a"}), child("good", node.Opts{"jobId": "b"})},
	})
	l.work(work{queue: "wholes", config: l.here, handlers: handlers{"all": echo}})
	l.work(work{queue: "parts", config: l.here, handlers: handlers{"good": echo}})
	awaitState(t, queue, "root", "completed")
	values := node.Decode[map[string]string](t, queue.OnJob("root", "getChildrenValues"))
	if len(values) != 2 || values["{bull}:parts:a"] != "good" || values["{bull}:parts:b"] != "good" {
		t.Errorf("getChildrenValues = %v, want the results of both", values)
	}
}

// nodeSeesTaktsWorkers: Node asks every node for its clients, and Takt's
// connection with the worker's name is on the one that has the queue.
func (l *clusterLab) nodeSeesTaktsWorkers(t *testing.T) {
	queue := l.Queue("watched")
	l.work(work{queue: "watched", name: "takt-1", config: l.here, handlers: handlers{"send": echo}})
	await(t, "Node to see the worker", func() bool {
		workers := node.Decode[[]map[string]any](t, queue.Call("getWorkers"))
		return len(workers) == 1 && strings.HasSuffix(workers[0]["rawname"].(string), ":w:takt-1") //nolint:forcetypeassert // Node's word
	})
}

// taktSeesNodesWorkers: Takt asks the node that has the queue, to which Node's
// worker is connected as well.
func (l *clusterLab) taktSeesNodesWorkers(t *testing.T) {
	l.Worker("seen", node.Steps{})
	queue, err := l.backend(l.here).Queue("seen")
	if err != nil {
		t.Fatal(err)
	}
	await(t, "Takt to see the worker", func() bool {
		workers, err := queue.Workers(t.Context())
		return err == nil && len(workers) == 1
	})
}

// bothFollowTheSlot: the queues are on another node from now on.
func (l *clusterLab) bothFollowTheSlot(t *testing.T) {
	theirs, ours := l.Queue("ours"), l.backend(l.here)
	l.work(work{queue: "ours", config: l.here, handlers: handlers{"send": echo}})
	worker := l.Worker("theirs", node.Steps{})
	send := func(sent int) {
		awaitState(t, theirs, theirs.Add("send", node.Opts{}).ID, "completed")
		if _, err := ours.Enqueue(t.Context(), domain.NewJob{Queue: "theirs", Name: "send"}); err != nil {
			t.Fatalf("Enqueue = %v, want no error", err)
		}
		worker.Await(t, sent, "completed")
	}
	send(1)
	from := l.cluster.Owner("{bull}")
	for _, to := range l.cluster.Primaries {
		if to != from {
			l.cluster.Move(l.cluster.Slot("{bull}"), from, to)
			break
		}
	}
	send(2)
}

func TestCheck75_WithoutBracesTheProducerFailsBeforeItWrites(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 2)
	_, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Nodes: cluster.Addrs()}})
	if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), "WORKER_QUEUE_PREFIX={bull}") {
		t.Errorf("New = %v, want %v with the prefix that would be right", err, domain.ErrInvalid)
	}
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: cluster.Primaries[0].Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close() //nolint:errcheck // the test is over
	_, err = backend.Enqueue(context.WithoutCancel(t.Context()), domain.NewJob{Queue: "mail", Name: "send"})
	if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), "WORKER_QUEUE_PREFIX={bull}") {
		t.Errorf("Enqueue = %v, want %v with the prefix that would be right", err, domain.ErrInvalid)
	}
	for _, server := range cluster.Nodes() {
		if size := must(t, server.Client().DBSize(t.Context())); size != 0 {
			t.Errorf("%s has %d keys, want nothing written", server.Addr, size)
		}
	}
}
