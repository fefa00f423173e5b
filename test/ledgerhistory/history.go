package ledgerhistory

import (
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

const (
	clients        = 6
	callsPerClient = 12
	// patience bounds the search for an order: a history for which it is not
	// enough counts as not linearizable.
	patience = 2 * time.Minute
)

// Count returns how many histories a test checks: bounded, or a thousand with
// TAKT_TORTURE=all.
func Count(bounded int) int {
	if os.Getenv("TAKT_TORTURE") == "all" {
		return 1000
	}
	return bounded
}

// Check records histories, each on the ledgers that open returns for its
// number: new ones that share their state, for clients that share them. It
// fails the test unless all are linearizable.
func Check(t *testing.T, histories int, open func(t *testing.T, history int) []ports.Ledger) {
	t.Helper()
	calls := 0
	for n := range histories {
		t.Run(fmt.Sprint("history ", n), func(t *testing.T) {
			history, base := record(t, n, open(t, n))
			calls += len(history)
			if result := porcupine.CheckOperationsTimeout(modelFrom(base), history, patience); result != porcupine.Ok {
				t.Errorf("the history is %s to have an order, want one:\n%s", result, text(history))
			}
		})
		if t.Failed() {
			return
		}
	}
	if calls < histories*clients*callsPerClient/2 {
		t.Errorf("%d calls in %d histories, want more", calls, histories)
	}
}

// record plays the history of the seed, and returns it with the cursors that it
// began with.
func record(t *testing.T, seed int, ledgers []ports.Ledger) ([]porcupine.Operation, map[string]int64) {
	t.Helper()
	r := &recorder{start: time.Now(), cursors: register(t, ledgers[0])}
	base := maps.Clone(r.cursors)
	var group sync.WaitGroup
	for n := range clients {
		dice := rand.New(rand.NewPCG(uint64(seed), uint64(n))) //nolint:gosec // neither is negative
		c := &client{T: t, recorder: r, number: n, dice: dice, ledger: ledgers[n%len(ledgers)]}
		group.Go(func() { c.play(callsPerClient) })
	}
	group.Wait()
	return r.history, base
}

// register lets all replicas sync and returns the cursors, moved to a full
// second in the future so that no other step changes them.
func register(t *testing.T, ledger ports.Ledger) map[string]int64 {
	t.Helper()
	var definitions []domain.Definition
	for _, job := range jobs() {
		definitions = append(definitions, domain.Definition{Job: job, Fingerprint: fingerprint})
	}
	var states []domain.JobState
	for n := range clients {
		reply, err := ledger.Sync(t.Context(), domain.SyncRequest{Replica: fmt.Sprint("r", n), Definitions: definitions})
		if err != nil {
			t.Fatalf("Sync = %v, want no error", err)
		}
		states = reply.Jobs
	}
	cursors := map[string]int64{}
	for _, s := range states {
		cursors[s.Job] = s.Cursor.UnixMilli()
	}
	return cursors
}

// modelFrom returns the ledger that does one thing after another, job by job.
func modelFrom(base map[string]int64) porcupine.Model {
	seed := maphash.MakeSeed()
	return porcupine.Model{
		Partition: byJob,
		Init:      func() any { return (*state)(nil) },
		Step: func(before, asked, answered any) (bool, any) {
			s, c := before.(*state), asked.(call)
			if s == nil {
				s = &state{cursor: base[c.job], runs: map[domain.RunKey]run{}}
			}
			return s.step(c, answered.(answer))
		},
		Equal: func(one, other any) bool {
			a, b := one.(*state), other.(*state)
			return a == b || a != nil && b != nil && a.equal(b)
		},
		Hash: func(s any) uint64 {
			one := s.(*state)
			if one == nil {
				return 0
			}
			return maphash.Comparable(seed, struct {
				cursor  int64
				latest  domain.ClaimToken
				runs    int
				holders int
			}{one.cursor, one.latest, len(one.runs), len(one.holders)})
		},
	}
}

func byJob(history []porcupine.Operation) [][]porcupine.Operation {
	parts := make([][]porcupine.Operation, len(jobs()))
	for _, operation := range history {
		for i, job := range jobs() {
			if operation.Input.(call).job == job {
				parts[i] = append(parts[i], operation)
			}
		}
	}
	return parts
}

func text(history []porcupine.Operation) string {
	var lines strings.Builder
	for _, o := range history {
		fmt.Fprintf(&lines, "%10d to %10d client %d: %s: %s\n", o.Call, o.Return, o.ClientId, o.Input, o.Output)
	}
	return lines.String()
}
