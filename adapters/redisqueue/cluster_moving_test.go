package redisqueue_test

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
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

// glance is how long a call is waited for that may well have to wait.
const glance = 100 * time.Millisecond

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
		var waiting []string
		for name, row := range rows {
			if row.waits(scenes[name], name) {
				waiting = append(waiting, name)
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

// waits makes the call of the row while the slot is on two nodes, and tells
// whether it had to wait.
func (r clusterRow) waits(s *clusterScene, name string) bool {
	s.Helper()
	before := s.contents()
	ctx, cancel := context.WithTimeout(s.Context(), glance)
	got, err := r.act(ctx, s)
	cancel()
	switch {
	case err == nil:
		if diff := cmp.Diff(r.want, got); diff != "" {
			s.Errorf("%s, while the slot moves (-want +got):\n%s", name, diff)
		}
		return false
	case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ports.ErrUnavailable):
		s.Errorf("%s, while the slot moves = %v, want it to wait", name, err)
	}
	if diff := cmp.Diff(before, s.contents()); diff != "" {
		s.Errorf("%s had to wait while the slot moves, and changed something (-before +after):\n%s", name, diff)
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
