package redisqueue_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

func TestLedgerSync_tellsAndRevalidatesManyJobsInParts(t *testing.T) {
	const jobs = 1_050
	ledger := openLedger(t, redistest.Start(t), "many").WithReplicaLease(time.Minute)
	old, newer := manyDefinitions(jobs, "v1"), manyDefinitions(jobs, "v2")
	wantAll := func(about string, reply domain.SyncReply, revision uint64, superseded bool) {
		t.Helper()
		seen := map[string]bool{}
		for _, state := range reply.Jobs {
			if state.Revision != revision || state.Superseded != superseded {
				t.Fatalf("%s: %+v, want revision %d, superseded %t", about, state, revision, superseded)
			}
			seen[state.Job] = true
		}
		if len(reply.Jobs) != jobs || len(seen) != jobs {
			t.Fatalf("%s: %d states of %d jobs, want one of each of %d", about, len(reply.Jobs), len(seen), jobs)
		}
	}
	ann := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: old})
	wantAll("ann", ann, 1, false)
	wantAll("bob", syncLedger(t, ledger, domain.SyncRequest{Replica: "bob", Definitions: newer}), 2, false)
	ann = syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: old, Since: ann.Version})
	wantAll("ann beside bob", ann, 2, true)
	syncLedger(t, ledger, domain.SyncRequest{Replica: "bob"})
	ann = syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: old, Since: ann.Version})
	wantAll("ann after bob", ann, 1, false)
	if got := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: old, Since: ann.Version}); len(got.Jobs) != 0 {
		t.Errorf("%d jobs are news, want none", len(got.Jobs))
	}
}

func TestLedgerSync_sendsDefinitionsOncePerFleet(t *testing.T) {
	const jobs = 2_000
	server := redistest.Start(t)
	definitions := manyDefinitions(jobs, "v1")
	received := func() int { return infoNumber(t, server.Client(), "stats", "total_net_input_bytes") }
	before := received()
	syncLedger(t, openLedger(t, server, "fleet"), domain.SyncRequest{Replica: "ann", Definitions: definitions})
	first := received() - before
	before = received()
	reply := syncLedger(t, openLedger(t, server, "fleet"), domain.SyncRequest{Replica: "bob", Definitions: definitions})
	second := received() - before
	if len(reply.Jobs) != jobs || first < 20*jobs || second > first/5 {
		t.Errorf("bob learns %d jobs; %d bytes were sent for ann, %d for bob, want %d jobs and few bytes for bob", len(reply.Jobs), first, second, jobs)
	}
}

// What an unchanged Sync costs does not depend on how many jobs there are: half of
// it are looks at what kinds of keys the ledger has.
func TestLedgerSync_costsNothingWithoutNews(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	cost := map[int][2]int{}
	for _, jobs := range []int{3, 3_000} {
		ledger := openLedger(t, server, fmt.Sprint("jobs-", jobs))
		definitions := manyDefinitions(jobs, "v1")
		version := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: definitions}).Version
		client.ConfigResetStat(t.Context())
		if got := len(syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: definitions, Since: version}).Jobs); got != 0 {
			t.Errorf("%d jobs are news, want none", got)
		}
		commands := 0
		for line := range strings.Lines(client.Info(t.Context(), "commandstats").Val()) {
			if name, rest, ok := strings.Cut(line, ":calls="); ok && !strings.Contains(name, "config") {
				calls, _, _ := strings.Cut(rest, ",")
				n, _ := strconv.Atoi(calls)
				commands += n
			}
		}
		cost[jobs] = [2]int{commands, infoNumber(t, client, "stats", "total_net_input_bytes") / 100}
	}
	if cost[3] != cost[3_000] || cost[3][0] > 30 {
		t.Errorf("Sync costs %v commands and bytes/100, want the same and at most 30 commands", cost)
	}
}

func infoNumber(t testing.TB, client *redis.Client, section, name string) int {
	t.Helper()
	for line := range strings.Lines(client.Info(t.Context(), section).Val()) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatalf("INFO %s: %v", name, err)
			}
			return n
		}
	}
	t.Fatalf("INFO %s has no %s", section, name)
	return 0
}

func TestLedgerSync_refusesNamesThatAreNone(t *testing.T) {
	ledger := openLedger(t, redistest.Start(t), "names")
	request := domain.SyncRequest{Replica: "ann", Definitions: []domain.Definition{{Job: "a@b", Fingerprint: "v1"}}}
	if _, err := ledger.Sync(t.Context(), request); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("Sync(a@b) = %v, want ErrInvalid", err)
	}
	bad := byHand("a", "1")
	bad.Run.Origin = "else:where"
	if _, err := ledger.Claim(t.Context(), []domain.Intent{bad}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("Claim(unknown origin) = %v, want ErrInvalid", err)
	}
}
