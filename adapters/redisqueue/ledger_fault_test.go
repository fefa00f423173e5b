package redisqueue_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

func TestLedger_keepsEverythingThroughARestartOfTheServer(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	ledger := openLedger(t, server, "restart")
	definitions := manyDefinitions(1, "v1")
	first := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: definitions})
	tick := tickAfter(first.Jobs[0].Cursor)
	claim := claimAll(t, ledger, tick)[0].Claim
	server.Kill()
	renewed := make(chan error, 1)
	go func() {
		renewals, err := ledger.Renew(t.Context(), []domain.ClaimRef{claim.Ref()}, time.Minute)
		if err == nil && renewals[0] != domain.RenewalHeld {
			err = errors.New("the claim is lost")
		}
		renewed <- err
	}()
	server.Restart()
	if err := <-renewed; err != nil {
		t.Errorf("Renew over the restart = %v, want it held", err)
	}
	if v := claimAll(t, ledger, tick)[0]; v.Kind != domain.Taken || !v.Cursor.Equal(tick.Move.To) {
		t.Errorf("the tick is %q at %s, want it taken at %s", v.Kind, v.Cursor, tick.Move.To)
	}
	if got := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: definitions, Since: first.Version}).Jobs; len(got) != 1 {
		t.Errorf("Sync = %v, want the job that moved", got)
	}
}

func TestLedger_waitsForTheServerUntilTheContextEnds(t *testing.T) {
	server := redistest.Start(t)
	ledger := openLedger(t, server, "away")
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := ledger.Sync(ctx, domain.SyncRequest{Replica: "ann"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Sync = %v, want the context's error", err)
	}
}

func TestLedger_keepsItsKeysTogetherAndForEver(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	ledger := openLedger(t, server, "keys")
	cursor := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")}).Jobs[0].Cursor
	claims := claimsOf(claimAll(t, ledger, tickAfter(cursor), byHand("job-00000", "1"), byHand("job-00000", "2"), byHand("job-00000", "3")))
	finishAll(t, ledger, domain.EndFinished, claims[:2]...)
	own := "takt:{" + ownPrefix(t) + "}:keys:"
	names := client.Keys(t.Context(), "*").Val()
	if len(names) < 12 {
		t.Errorf("the ledger has the keys %q, want more", names)
	}
	for _, name := range names {
		ttl := client.TTL(t.Context(), name).Val()
		switch {
		case !strings.HasPrefix(name, own):
			t.Errorf("key %s does not begin with %s", name, own)
		case strings.HasPrefix(name, own+"session:"):
			if ttl <= 0 {
				t.Errorf("key %s never expires", name)
			}
		case ttl != -1:
			t.Errorf("key %s expires in %s", name, ttl)
		}
	}
}

func TestLedger_survivesWhatAStrangerDoesToItsKeys(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	ledger := openLedger(t, server, "stranger")
	definitions := manyDefinitions(1, "v1")
	syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: definitions})
	own := "takt:{" + ownPrefix(t) + "}:stranger:ledger"
	inSlot := func(id string) domain.Intent {
		intent := byHand("job-00000", id)
		intent.Slot = domain.SlotSkip
		return intent
	}

	first := claimAll(t, ledger, inSlot("1"), byHand("job-00000", "2"))
	client.Del(t.Context(), own+":runs")
	if v := claimAll(t, ledger, inSlot("3"))[0]; v.Kind != domain.Granted {
		t.Errorf("the run after the holders were deleted is %q, want granted", v.Kind)
	}
	if renewals, err := ledger.Renew(t.Context(), []domain.ClaimRef{first[0].Claim.Ref()}, time.Minute); err != nil || renewals[0] != domain.RenewalLost {
		t.Errorf("Renew(deleted) = %v, %v, want it lost", renewals, err)
	}
	client.ZAdd(t.Context(), own+":leases", redis.Z{Score: 1, Member: "manual:0:job-00000@none"})
	if claims, err := ledger.Abandoned(t.Context(), "ann", time.Minute, 10); err != nil || len(claims) != 0 {
		t.Errorf("Abandoned(no record) = %v, %v, want none", claims, err)
	}

	client.HSet(t.Context(), own+":jobs", "job-00000", "\xc1 no record")
	if v := claimAll(t, ledger, byHand("job-00000", "4"))[0]; v.Kind != domain.Superseded {
		t.Errorf("Claim(damaged record) = %q, want it superseded", v.Kind)
	}
	client.Del(t.Context(), own+":jobs")
	client.Set(t.Context(), own+":jobs", "no hash", 0)
	if verdicts, err := ledger.Claim(t.Context(), []domain.Intent{byHand("job-00000", "4")}); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("Claim(wrong type) = %v, %v, want WRONGTYPE", verdicts, err)
	}
	for _, name := range client.Keys(t.Context(), own+"*").Val() {
		client.Del(t.Context(), name)
	}
	if got := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: definitions, Since: 1 << 52}).Jobs; len(got) != 1 || got[0].Revision != 1 {
		t.Errorf("Sync after everything was deleted = %+v, want the job anew", got)
	}
}

func TestLedger_tokensGrowWhenTheStoreLostItsWrites(t *testing.T) {
	server := redistest.Start(t)
	ledger := openLedger(t, server, "rewound")
	definitions := manyDefinitions(1, "v1")
	before := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: definitions})
	old := claimAll(t, ledger, byHand("job-00000", "1"))[0].Claim
	if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatalf("FLUSHALL = %v, want no error", err)
	}
	after := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: definitions, Since: before.Version})
	if len(after.Jobs) != 1 || after.Version <= before.Version {
		t.Errorf("Sync = %+v after version %d, want the job under a later version", after, before.Version)
	}
	if again := claimAll(t, ledger, byHand("job-00000", "1"))[0].Claim; again.Token <= old.Token {
		t.Errorf("the token is %d after %d, want a larger one", again.Token, old.Token)
	}
}

// A stranger may have written that a run's lease lapsed which has ended: it is
// nobody's to take over, and holds up no others.
func TestAbandonedPassesOverARunThatHasEnded(t *testing.T) {
	r := newRawQueue(t, nil)
	s := &stage{rawQueue: r, ledger: r.backend.Ledger()}
	withLedger(s)
	const leases = "takt:{bull}:default:ledger:leases"
	over := r.rdb.ZRange(t.Context(), leases, 0, -1).Val()[0]
	lapsed := claimsOf(claimAll(s, s.ledger, byHand("job-00001", "2")))[0]
	finished, err := s.ledger.Finish(t.Context(), []domain.RunResult{{Claim: s.claims[0].Ref(), End: domain.EndFinished}})
	if err != nil || !finished[0] {
		t.Fatalf("Finish = %v, %v, want it finished", finished, err)
	}
	r.do("ZADD "+leases+" 1 "+over, "ZADD "+leases+" 1 "+r.rdb.ZRange(t.Context(), leases, 0, -1).Val()[0])
	syncLedger(s, s.ledger, domain.SyncRequest{Replica: "bob", Definitions: manyDefinitions(2, "v1")})
	claims, err := s.ledger.Abandoned(t.Context(), "bob", time.Minute, 5)
	if err != nil || len(claims) != 1 || claims[0].Run != lapsed.Run {
		t.Errorf("Abandoned = %+v, %v, want the claim that lapsed alone", claims, err)
	}
	if score, err := r.rdb.ZScore(t.Context(), leases, over).Result(); err == nil {
		t.Errorf("the lease of the run that has ended is there (%v), want it dropped", score)
	}
}

// A record that a stranger has damaged stops the calls that need it. They name
// it, and leave everything as it was, as often as they are made.
func TestLedger_namesRecordsThatAreDamaged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil []string
		call  func(ctx context.Context, s *stage) error
	}{
		"replicas": {
			[]string{"HSET takt:{bull}:default:ledger:replicas zed \xc1", "ZADD takt:{bull}:default:ledger:seen 1 zed"},
			func(ctx context.Context, s *stage) error {
				_, err := s.ledger.Sync(ctx, domain.SyncRequest{Replica: "bob", Definitions: manyDefinitions(2, "v1")})
				return err
			},
		},
		"jobs": {
			[]string{"HSET takt:{bull}:default:ledger:jobs job-00001 \x01"},
			func(ctx context.Context, s *stage) error { return s.ledger.PauseJob(ctx, "job-00001") },
		},
		"registrations": {
			[]string{"HSET takt:{bull}:default:ledger:registrations x \xc1"},
			func(ctx context.Context, s *stage) error {
				_, err := s.ledger.Sync(ctx, domain.SyncRequest{Replica: "bob", Definitions: manyDefinitions(3, "v2")})
				return err
			},
		},
		"revisions": {
			[]string{"HSET takt:{bull}:default:ledger:revisions job-00001 \xc1"},
			func(ctx context.Context, s *stage) error {
				_, err := s.ledger.Sync(ctx, domain.SyncRequest{Replica: "bob", Definitions: manyDefinitions(3, "v2")})
				return err
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			s := &stage{rawQueue: r, ledger: r.backend.Ledger()}
			withLedger(s)
			r.do(c.spoil...)
			const key = "takt:{bull}:default:ledger:"
			for i := range 3 {
				shared := r.rdb.HGetAll(t.Context(), key+"registrations").Val()
				err := c.call(t.Context(), s)
				if err == nil || !strings.Contains(err.Error(), key+name) {
					t.Errorf("the call = %v, want an error that names %s", err, key+name)
				}
				if now := r.rdb.HGetAll(t.Context(), key+"registrations").Val(); i > 0 && !maps.Equal(now, shared) {
					t.Errorf("the registrations are %q after %q, want them as they were", now, shared)
				}
			}
		})
	}
}
