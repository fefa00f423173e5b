package redisqueue_test

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// made are the numbers in names of keys that are made up: times and positions.
var made = regexp.MustCompile(`\d{10,}`)

// shape is how much each of the row's keys holds, by their names without what
// differs from scene to scene.
func (s *clusterScene) shape() map[string]int64 {
	s.Helper()
	node := s.cluster.Owner(s.prefix).Client()
	shape := map[string]int64{}
	for keys := node.Scan(s.Context(), 0, s.prefix+":"+s.base+"*", 1000).Iterator(); keys.Next(s.Context()); {
		name := made.ReplaceAllString(strings.Replace(keys.Val(), s.base, "", 1), "N")
		kind, err := node.Type(s.Context(), keys.Val()).Result()
		s.need(err)
		command := map[string]string{"hash": "HLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "stream": "XLEN", "string": "EXISTS"}[kind]
		size := redis.NewIntCmd(s.Context(), command, keys.Val())
		s.need(node.Process(s.Context(), size))
		shape[name] += size.Val()
	}
	return shape
}

// isScript tells whether a request runs a script.
func isScript(request []byte) bool {
	return bytes.Contains(bytes.ToLower(request[:min(len(request), 64)]), []byte("eval"))
}

// The first time a call is carried out on one node, whose reply gets lost, and
// repeated on another one, which the slot has moved to meanwhile.
func TestACallIsCarriedOutOnceThoughItsSlotMovesBeforeItIsRepeated(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	at := clusterPlace{cluster: cluster, prefix: "{bull}", backend: openCluster(t, cluster, func(c *redisqueue.Config) { c.MetricsMinutes = 10 })}
	from, to := ownerAndOther(cluster, at.prefix)
	p := proxy.Start(t, from.Addr)
	redisqueue.Divert(at.backend, from.Addr, p.Addr)
	rows, calm, scenes := clusterRows(), map[string]map[string]int64{}, map[string]*clusterScene{}
	for name, row := range rows {
		// The node learns all scripts, so that it carries calls out at once.
		scene := row.scene(t, at, name+"-calm")
		if _, err := row.act(t.Context(), scene); err != nil {
			t.Fatalf("%s = %v, want no error", name, err)
		}
		calm[name] = scene.shape()
		scenes[name] = row.scene(t, at, name+"-moved")
	}
	p.Set(func(e proxy.Exchange) proxy.Verdict {
		if isScript(e.Request) {
			return proxy.Verdict{Kind: proxy.DropReply}
		}
		return proxy.Verdict{}
	})
	var calls sync.WaitGroup
	defer calls.Wait()
	for name, row := range rows {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			got, err := row.act(ctx, scenes[name])
			if diff := cmp.Diff(row.want, got); err != nil || diff != "" {
				t.Errorf("%s, repeated on another node: %v (-want +got):\n%s", name, err, diff)
			}
		})
	}
	for until := time.Now().Add(patience); p.Count(proxy.DropReply) < 3*len(rows); <-time.After(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d replies are lost, want three of each call", p.Count(proxy.DropReply))
		}
	}
	cluster.Move(cluster.Slot(at.prefix), from, to)
	p.Set(nil)
	calls.Wait()
	for name, scene := range scenes {
		if diff := cmp.Diff(calm[name], scene.shape()); diff != "" {
			t.Errorf("%s, repeated on another node, leaves something else (-once +repeated):\n%s", name, diff)
		}
	}
}
