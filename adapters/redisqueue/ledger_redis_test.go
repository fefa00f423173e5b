package redisqueue_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

func syncLedger(t testing.TB, ledger ports.Ledger, request domain.SyncRequest) domain.SyncReply {
	t.Helper()
	reply, err := ledger.Sync(t.Context(), request)
	if err != nil {
		t.Fatalf("Sync(%s) = %v, want no error", request.Replica, err)
	}
	return reply
}

func claimAll(t testing.TB, ledger ports.Ledger, intents ...domain.Intent) []domain.Verdict {
	t.Helper()
	verdicts, err := ledger.Claim(t.Context(), intents)
	if err != nil || len(verdicts) != len(intents) {
		t.Fatalf("Claim(%d) = %d verdicts, %v, want as many and no error", len(intents), len(verdicts), err)
	}
	return verdicts
}

func finishAll(t testing.TB, ledger ports.Ledger, end domain.RunEnd, claims ...domain.Claim) {
	t.Helper()
	results := make([]domain.RunResult, len(claims))
	for i := range claims {
		results[i] = domain.RunResult{Claim: claims[i].Ref(), End: end}
	}
	held, err := ledger.Finish(t.Context(), results)
	if err != nil {
		t.Fatalf("Finish = %v, want no error", err)
	}
	for i := range held {
		if !held[i] {
			t.Fatalf("Finish(%s) = not held, want it held", claims[i].Run)
		}
	}
}

// tickAfter returns ann's intent for the first job's tick a second after the
// cursor.
func tickAfter(cursor time.Time) domain.Intent {
	to := cursor.Add(time.Second)
	return domain.Intent{
		Run: domain.TickKey("job-00000", to), Replica: "ann", Fingerprint: "v1",
		Move: &domain.CursorMove{From: cursor, To: to}, Lease: time.Minute,
	}
}

func byHand(job, id string) domain.Intent {
	run := domain.RunKey{Job: job, Origin: domain.OriginManual, OriginID: id}
	return domain.Intent{Run: run, Replica: "ann", Fingerprint: "v1", Slot: domain.SlotFree, Lease: time.Minute}
}

func claimsOf(verdicts []domain.Verdict) []domain.Claim {
	claims := make([]domain.Claim, len(verdicts))
	for i := range verdicts {
		claims[i] = verdicts[i].Claim
	}
	return claims
}

func TestLedgerClaim_chainsALongBatchInParts(t *testing.T) {
	ledger := openLedger(t, redistest.Start(t), "chain")
	cursor := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")}).Jobs[0].Cursor
	intents := make([]domain.Intent, 0, 350)
	for range cap(intents) {
		intents = append(intents, tickAfter(cursor))
		cursor = cursor.Add(time.Second)
	}
	verdicts := claimAll(t, ledger, intents...)
	last := domain.ClaimToken(0)
	for i, v := range verdicts {
		if v.Kind != domain.Granted || v.Claim.Token <= last || v.Claim.Run != intents[i].Run {
			t.Fatalf("link %d is %q, token %d of %s after %d, want it granted", i, v.Kind, v.Claim.Token, v.Claim.Run, last)
		}
		last = v.Claim.Token
	}
	finishAll(t, ledger, domain.EndFired, claimsOf(verdicts)...)
	for i, v := range claimAll(t, ledger, intents...) {
		if v.Kind != domain.Taken || v.Owner != "ann" {
			t.Fatalf("link %d is %q again, want it taken", i, v.Kind)
		}
	}
}

func TestLedgerAbandoned_looksBehindTheClaimsOfOthers(t *testing.T) {
	const foreign, own = 250, 150
	ledger := openLedger(t, redistest.Start(t), "behind")
	syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(2, "v1")})
	syncLedger(t, ledger, domain.SyncRequest{Replica: "bob", Definitions: manyDefinitions(2, "v1")[1:]})
	for job, n := range map[string]int{"job-00000": foreign, "job-00001": own} {
		intents := make([]domain.Intent, n)
		for i := range intents {
			intents[i] = byHand(job, strconv.Itoa(i))
		}
		claims := claimsOf(claimAll(t, ledger, intents...))
		finishAll(t, ledger, domain.EndReleased, claims...)
	}
	for _, want := range []int{120, own - 120, 0} {
		claims, err := ledger.Abandoned(t.Context(), "bob", time.Minute, 120)
		if err != nil || len(claims) != want {
			t.Fatalf("Abandoned(120) = %d claims, %v, want %d", len(claims), err, want)
		}
	}
}

func TestLedger_forgetsEndedRunsAfterADayAndOverTheBound(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	ledger := openLedger(t, server, "ended")
	syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")})
	list := "takt:{" + ownPrefix(t) + "}:ended:ledger:ended:others"
	run := func(id string) domain.VerdictKind {
		v := claimAll(t, ledger, byHand("job-00000", id))[0]
		if v.Kind == domain.Granted {
			finishAll(t, ledger, domain.EndFinished, v.Claim)
		}
		return v.Kind
	}
	age := func(age time.Duration) {
		entry := client.LIndex(t.Context(), list, 0).Val()
		_, key, _ := strings.Cut(entry, " ")
		if err := client.LSet(t.Context(), list, 0, fmt.Sprint(time.Now().Add(-age).UnixMilli(), " ", key)).Err(); err != nil {
			t.Fatalf("LSET = %v, want no error", err)
		}
	}
	run("1")
	age(24*time.Hour - 5*time.Second)
	run("2")
	if got := run("1"); got != domain.Taken {
		t.Errorf("the run within the day is %q, want taken", got)
	}
	age(24*time.Hour + time.Second)
	syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")})
	if got := run("1"); got != domain.Granted {
		t.Errorf("the run after a day is %q, want granted", got)
	}
	fill := make([]any, 65_536)
	for i := range fill {
		fill[i] = fmt.Sprint(time.Now().UnixMilli(), " manual:0:job-00000@old-", i)
	}
	if err := client.RPush(t.Context(), list, fill...).Err(); err != nil {
		t.Fatalf("RPUSH = %v, want no error", err)
	}
	run("3")
	if got := client.LLen(t.Context(), list).Val(); got != 65_536 {
		t.Errorf("%d ended runs are remembered, want 65,536", got)
	}
	if got := run("2"); got != domain.Granted {
		t.Errorf("the run beyond the bound is %q, want granted, for it is forgotten", got)
	}
}

func TestLedger_grantsOneOfManyConcurrentClaimsOfTheFleet(t *testing.T) {
	const replicas, ticks = 6, 100
	server := redistest.Start(t)
	base := syncLedger(t, openLedger(t, server, "race"), domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")}).Jobs[0].Cursor
	granted := make([]int, replicas)
	var group sync.WaitGroup
	for r := range replicas {
		ledger := openLedger(t, server, "race")
		group.Go(func() {
			for n := range ticks {
				intent := tickAfter(base.Add(time.Duration(n) * time.Second))
				intent.Replica = strconv.Itoa(r)
				verdicts, err := ledger.Claim(t.Context(), []domain.Intent{intent})
				if err != nil {
					t.Errorf("Claim = %v, want no error", err)
				} else if verdicts[0].Kind == domain.Granted {
					granted[r]++
				}
			}
		})
	}
	group.Wait()
	total := 0
	for _, n := range granted {
		total += n
	}
	if total != ticks {
		t.Errorf("%d claims are granted, want %d", total, ticks)
	}
}
