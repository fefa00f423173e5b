package redisqueue_test

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// chosen tells which of the keys go first when half of a slot moves.
func chosen(half uint32) func(key string) bool {
	return func(key string) bool {
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(key))
		return hash.Sum32()%2 == half
	}
}

// ownerAndOther returns the primary that has the slot of the key, and another.
func ownerAndOther(cluster *redistest.Cluster, key string) (from, to *redistest.Server) {
	from = cluster.Owner(key)
	for _, to = range cluster.Primaries {
		if to != from {
			break
		}
	}
	return from, to
}

// glance is how long calls are waited for that may well have to wait, all of them
// beside one another.
const glance = time.Second

// While the keys of a queue are on two nodes, a call does all that it does or
// nothing; and what it did not do, it does once they are on one.
func TestACallDoesNothingByHalvesWhileASlotMoves(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	at := clusterPlace{cluster: cluster, prefix: "{bull}", backend: openCluster(t, cluster, func(c *redisqueue.Config) { c.MetricsMinutes = 10 })}
	for half := range uint32(2) {
		rows, scenes := clusterRows(), map[string]*clusterScene{}
		for name, row := range rows {
			scenes[name] = row.scene(t, at, name+[]string{"-first", "-second"}[half])
		}
		from, to := ownerAndOther(cluster, at.prefix)
		moving := cluster.BeginMove(cluster.Slot(at.prefix), from, to)
		moving.Take(chosen(half))
		before := at.contents(t)
		answers := actAll(t, rows, scenes)
		after := at.contents(t)
		var waiting []string
		for name, row := range rows {
			if row.waited(scenes[name], name, answers[name]) {
				waiting = append(waiting, name)
				if diff := cmp.Diff(scenes[name].own(before), scenes[name].own(after)); diff != "" {
					t.Errorf("%s had to wait while the slot moves, and changed something (-before +after):\n%s", name, diff)
				}
			}
		}
		moving.Finish()
		for _, name := range waiting {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			got, err := rows[name].act(ctx, scenes[name])
			cancel()
			if diff := cmp.Diff(rows[name].want, got); err != nil || diff != "" {
				t.Errorf("%s, once the slot has arrived: %v (-want +got):\n%s", name, err, diff)
			}
		}
		if len(waiting) < len(rows)/2 {
			t.Errorf("%d of %d calls had to wait while the slot moved, want most", len(waiting), len(rows))
		}
	}
}

// rowAnswer is what the call of a row returned.
type rowAnswer struct {
	got any
	err error
}

// actAll makes the calls of all rows at once, and gives them up after a glance.
func actAll(t *testing.T, rows map[string]clusterRow, scenes map[string]*clusterScene) map[string]rowAnswer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), glance)
	defer cancel()
	var mu sync.Mutex
	var calls sync.WaitGroup
	answers := map[string]rowAnswer{}
	for name, row := range rows {
		calls.Go(func() {
			got, err := row.act(ctx, scenes[name])
			mu.Lock()
			defer mu.Unlock()
			answers[name] = rowAnswer{got: got, err: err}
		})
	}
	calls.Wait()
	return answers
}

// waited tells whether the call of the row had to wait while the slot is on two
// nodes, and judges it if it had not.
func (r clusterRow) waited(s *clusterScene, name string, a rowAnswer) bool {
	s.Helper()
	if a.err == nil {
		if diff := cmp.Diff(r.want, a.got); diff != "" {
			s.Errorf("%s, while the slot moves (-want +got):\n%s", name, diff)
		}
		return false
	}
	if !errors.Is(a.err, context.DeadlineExceeded) && !errors.Is(a.err, ports.ErrUnavailable) {
		s.Errorf("%s, while the slot moves = %v, want it to wait", name, a.err)
	}
	return true
}

// A slot that stays on two nodes for a while is waited for, however much there
// is to do.
func TestNoJobIsLostOrDoneTwiceWhileItsSlotIsOnTwoNodes(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	log := &diary{}
	open := func() *redisqueue.Backend {
		return openCluster(t, cluster, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	}
	load := startLoad(t, time.Hour, open)
	load.reach(50)
	for half := range uint32(2) {
		from, to := ownerAndOther(cluster, "{bull}")
		moving := cluster.BeginMove(cluster.Slot("{bull}"), from, to)
		moving.Take(chosen(half))
		redistest.Pass(time.Second)
		moving.Finish()
		load.after()
	}
	if lost, twice := load.drain(open()); len(lost)+len(twice) > 0 {
		t.Errorf("of %d jobs %v are lost and %v done twice, want none: %s", len(load.accepted), lost, twice, log)
	}
}
