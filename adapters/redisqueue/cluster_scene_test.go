package redisqueue_test

import (
	"context"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// clusterRow is one method in a cluster: what it needs, the call, and what that
// returns.
type clusterRow struct {
	prepare func(*clusterScene)
	act     func(context.Context, *clusterScene) (any, error)
	want    any
}

// clusterPlace is a backend in a cluster.
type clusterPlace struct {
	cluster *redistest.Cluster
	backend *redisqueue.Backend
	prefix  string
}

// clusterScene is where a row plays: on two queues that no other row has, "q"
// and "parts".
type clusterScene struct {
	*testing.T

	clusterPlace

	// base is what the names of the row's queues begin with.
	base         string
	queue, parts *redisqueue.Queue
	// consumers take jobs, one for each queue that was worked.
	consumers map[*redisqueue.Queue]ports.Consumer
}

// operatorRights are what operators have beyond deploy/redis-acl.conf, as it
// says itself.
const operatorRights = " +client|list +scan"

// operating opens a backend of the prefix for an operator.
func operating(t *testing.T, cluster *redistest.Cluster, prefix string) clusterPlace {
	t.Helper()
	backend := openCluster(t, cluster, func(c *redisqueue.Config) {
		c.Prefix, c.MetricsMinutes = prefix, 10
		c.Connection.Username, c.Connection.Password = "takt", domain.NewSecret(canary)
	})
	return clusterPlace{cluster: cluster, backend: backend, prefix: prefix}
}

// scene prepares a row.
func (r clusterRow) scene(t *testing.T, at clusterPlace, name string) *clusterScene {
	t.Helper()
	s := &clusterScene{T: t, clusterPlace: at, base: strings.ReplaceAll(name, ".", "-") + "."}
	s.consumers = map[*redisqueue.Queue]ports.Consumer{}
	s.queue, s.parts = s.named("q"), s.named("parts")
	if r.prepare != nil {
		r.prepare(s)
	}
	return s
}

func (s *clusterScene) named(name string) *redisqueue.Queue {
	s.Helper()
	queue, err := s.backend.Queue(domain.QueueName(s.base + name))
	s.need(err)
	return queue
}

// need ends the test if what a row needs cannot be had.
func (s *clusterScene) need(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s is not prepared: %v", s.base, err)
	}
}

// add adds the job "one".
func (s *clusterScene) add(options domain.JobOptions) {
	s.Helper()
	options.ID = "one"
	_, err := s.queue.Add(s.Context(), redisqueue.NewJob{Name: "n", Data: []byte(`{}`), Options: options})
	s.need(err)
}

// node is a job of a flow, with the id of its queue's row.
func (s *clusterScene) node(queue *redisqueue.Queue, id domain.JobID, onFailure redisqueue.OnFailure, children ...redisqueue.FlowNode) redisqueue.FlowNode {
	return redisqueue.FlowNode{
		Queue: queue.Name(), Name: "n", Options: domain.JobOptions{ID: id},
		Extras: redisqueue.Extras{OnFailure: onFailure}, Children: children,
	}
}

// family adds "one" with its child "part" on another queue.
func (s *clusterScene) family(onFailure redisqueue.OnFailure) {
	s.Helper()
	_, err := s.backend.AddFlow(s.Context(), s.node(s.queue, "one", "", s.node(s.parts, "part", onFailure)))
	s.need(err)
}

// take leases a job of the queue.
func (s *clusterScene) take(queue *redisqueue.Queue) domain.Lease {
	s.Helper()
	if s.consumers[queue] == nil {
		c, err := s.backend.OpenConsumer(ports.ConsumerOptions{Queue: queue.Name(), Worker: "w", Lease: time.Hour})
		s.need(err)
		s.consumers[queue] = c
	}
	return reserve(s, s.consumers[queue], 1)[0]
}

// end works a job of the queue.
func (s *clusterScene) end(queue *redisqueue.Queue, outcome domain.Outcome) {
	s.Helper()
	lease := s.take(queue)
	settleOne(s, s.consumers[queue], &lease, outcome)
}

// contents are the keys of all rows with their values, on whatever nodes they are.
func (p clusterPlace) contents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, node := range p.cluster.Primaries {
		client := node.Client()
		for keys := client.Scan(t.Context(), 0, p.prefix+":*", 1000).Iterator(); keys.Next(t.Context()); {
			var value *redis.StringCmd
			_, err := client.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
				pipe.Do(t.Context(), "ASKING")
				value = pipe.Dump(t.Context(), keys.Val())
				return nil
			})
			if err != nil {
				t.Fatalf("DUMP %s = %v, want no error", keys.Val(), err)
			}
			all[keys.Val()] = value.Val()
		}
	}
	return all
}

// own are those of the contents that are the row's.
func (s *clusterScene) own(contents map[string]string) map[string]string {
	mine := maps.Clone(contents)
	maps.DeleteFunc(mine, func(key, _ string) bool { return !strings.HasPrefix(key, s.prefix+":"+s.base) })
	return mine
}

// offered are the methods of the values' types.
func offered(values ...any) map[string]bool {
	names := map[string]bool{}
	for _, value := range values {
		of := reflect.TypeOf(value)
		for method := range of.Methods() {
			names[of.Elem().Name()+"."+method.Name] = true
		}
	}
	return names
}

// apart are two prefixes whose slots different nodes have.
func apart(t *testing.T, cluster *redistest.Cluster) (string, string) {
	t.Helper()
	first := "{bull}"
	for _, second := range []string{"{shop}", "{news}", "{mail}", "{post}", "{desk}"} {
		if cluster.Owner(second) != cluster.Owner(first) {
			return first, second
		}
	}
	t.Fatal("one node has the slots of all prefixes")
	return "", ""
}

func TestAllThatQueuesOfferWorksInACluster(t *testing.T) {
	t.Parallel()
	rows := clusterRows()
	methods := offered((*redisqueue.Backend)(nil), (*redisqueue.Queue)(nil))
	for name := range methods {
		if _, has := rows[name]; !has {
			t.Errorf("%s has no row: nobody knows whether it works in a cluster", name)
		}
	}
	cluster := redistest.StartCluster(t, 3, "--include", guardedFile(t, "*", operatorRights))
	for _, node := range cluster.Nodes() {
		wantNoRefusals(t, node)
	}
	first, second := apart(t, cluster)
	places := []clusterPlace{operating(t, cluster, first), operating(t, cluster, second)}
	for name, row := range rows {
		if !methods[name] {
			t.Errorf("the row %s is of no method", name)
		}
		for _, at := range places {
			scene := row.scene(t, at, name)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			got, err := row.act(ctx, scene)
			cancel()
			if diff := cmp.Diff(row.want, got); err != nil || diff != "" {
				t.Errorf("%s with the prefix %s: %v (-want +got):\n%s", name, at.prefix, err, diff)
			}
		}
	}
}
