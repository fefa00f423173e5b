package redisqueue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// mixed are jobs of all kinds, of two queues.
func mixed() []domain.NewJob {
	plain := domain.NewJob{Queue: "q", Name: "n"}
	named, ranked, late, keyed, known := plain, plain, plain, plain, plain
	named.Options.ID, ranked.Options.Priority, late.Options.Delay = "a", 2, 1e12
	keyed.Options.Deduplication = domain.Deduplication{Key: "k", Mode: domain.DedupKeepLast}
	known.Receipt = "r"
	return []domain.NewJob{plain, plain, named, ranked, {Queue: "p", Name: "n"}, late, keyed, known}
}

// full is the end of the ids of a stream, after which it takes nothing.
const full = "XADD %s 18446744073709551615-18446744073709551615 event x"

func TestEnqueueAddsNothingWhereAKeyIsDamaged(t *testing.T) {
	t.Parallel()
	for key, spoil := range map[string]string{
		"bull:q:wait": "SET %s x", "bull:q:delayed": "SET %s x", "bull:q:prioritized": "RPUSH %s x", "bull:q:events": "SET %s x",
		"bull:q:meta": "SET %s x", "bull:p:meta": "SET %s x", "bull:p:wait": "SET %s x", "bull:q:active": "SET %s x",
		"bull:q:id": "RPUSH %s x", "bull:p:id": "SET %s x", "bull:q:a": "RPUSH %s x", "bull:q:de:k": "RPUSH %s x",
		"takt:{bull}:default:receipt:r": "RPUSH %s x",
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			r.do("SET bull:p:id 7", fmt.Sprintf("DEL %s", key), fmt.Sprintf(spoil, key))
			before := r.dump()
			for range 2 {
				_, err := r.backend.Enqueue(t.Context(), mixed()...)
				if err == nil || !strings.Contains(err.Error(), "("+key+")") {
					t.Errorf("Enqueue = %v, want an error that names %s", err, key)
				}
				r.wantTouched(before, r.dump())
			}
		})
	}
}

func TestEnqueueNamesAnIDThatIsTooLargeToCountOn(t *testing.T) {
	for _, id := range []string{"9007199254740991", "9223372036854775807"} {
		r := newRawQueue(t, nil)
		r.do("SET bull:q:id " + id)
		_, err := r.backend.Enqueue(t.Context(), domain.NewJob{Queue: "q", Name: "n"})
		if err == nil || !strings.Contains(err.Error(), "(bull:q:id)") {
			t.Errorf("Enqueue after id %s = %v, want an error that names the counter", id, err)
		}
		if got := r.rdb.Get(t.Context(), "bull:q:id").Val(); got != id {
			t.Errorf("the counter is %s, want %s", got, id)
		}
	}
}

// What lies under the next ids is passed over, wherever it is in a call.
func TestEnqueuePassesOverIDsUnderWhichSomethingElseIs(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("RPUSH bull:q:1 x", "RPUSH bull:q:3 x", "SET bull:q:5 x", "RPUSH bull:q:6 x", "RPUSH bull:q:8 x")
	plain, ranked, keyed := domain.NewJob{Queue: "q", Name: "n"}, domain.NewJob{Queue: "q", Name: "n"}, domain.NewJob{Queue: "q", Name: "n"}
	ranked.Options.Priority = 2
	keyed.Options.Deduplication = domain.Deduplication{Key: "k"}
	results, err := r.backend.Enqueue(t.Context(), plain, plain, ranked, keyed, plain)
	if err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
	var ids []string
	for _, result := range results {
		if result.Status != domain.Accepted {
			t.Errorf("a job is %s, want it accepted", result.Status)
		}
		ids = append(ids, string(result.ID))
	}
	if want := []string{"2", "4", "7", "9", "10"}; !slices.Equal(ids, want) {
		t.Errorf("ids = %v, want %v", ids, want)
	}
	r.wantList("bull:q:wait", "10", "9", "4", "2")
	if owner := r.rdb.Get(t.Context(), "bull:q:de:k").Val(); owner != "9" {
		t.Errorf("the key's owner is %q, want 9", owner)
	}
	if next := r.rdb.Get(t.Context(), "bull:q:id").Val(); next != "10" {
		t.Errorf("the counter is %s, want 10", next)
	}
}

func TestACounterOfPrioritiesThatIsNoneBeginsAnew(t *testing.T) {
	for _, value := range []string{"SET bull:q:pc x", "RPUSH bull:q:pc x", "SET bull:q:pc 9223372036854775807"} {
		r := newRawQueue(t, nil)
		r.do(value)
		r.add(domain.JobOptions{ID: "a", Priority: 1})
		r.add(domain.JobOptions{ID: "b", Priority: 1})
		if ids := r.rdb.ZRange(t.Context(), "bull:q:prioritized", 0, -1).Val(); !slices.Equal(ids, []string{"a", "b"}) {
			t.Errorf("after %s %v wait, want a and b", value, ids)
		}
	}
}

// A stream that takes nothing more stops a call in the middle. What is added
// then is told, in each repetition of the call, and whatever is not added
// leaves nothing.
func TestACallThatBreaksOffTellsWhatIsAdded(t *testing.T) {
	t.Parallel()
	r := newRawQueue(t, nil)
	r.do(fmt.Sprintf(full, "bull:p:events"))
	before := r.dump()
	_, err := r.backend.Enqueue(t.Context(), domain.NewJob{Queue: "p", Name: "n"}, domain.NewJob{Queue: "q", Name: "n"})
	if err == nil {
		t.Error("Enqueue = no error, want one: the events are full")
	}
	r.wantTouched(before, r.dump())
	enqueue := func() (any, error) {
		return r.rdb.Eval(t.Context(), sourceOf(t, "enqueue"), []string{"takt:session", "bull:q:meta"},
			"1", "takt:receipts:", "v5", "2", "2", "bull:q:", "n", "{}", "1", "2", "1", "bull:p:", "n", "{}", "3").Result()
	}
	for range 2 {
		if _, err := enqueue(); err == nil || !strings.Contains(err.Error(), "2 jobs of this call are added") {
			t.Errorf("enqueue.lua = %v, want an error that tells of two jobs", err)
		}
		r.wantList("bull:q:wait", "2", "1")
		r.wantKey("bull:p:1", false)
	}
}

func sourceOf(t *testing.T, name string) string {
	t.Helper()
	scripts, err := redisqueue.Scripts()
	if err != nil {
		t.Fatalf("Scripts = %v, want them", err)
	}
	for _, s := range scripts {
		if s.Name == name {
			return s.Source
		}
	}
	t.Fatalf("there is no script %s", name)
	return ""
}

// One dispatch that is damaged does not keep the others, and its run stays
// claimed.
func TestDispatcher_answersDamageOneByOne(t *testing.T) {
	t.Parallel()
	for key, spoil := range map[string]string{
		"bull:bad:wait": "SET %s x", "bull:bad:id": "SET %s x", "bull:bad:meta": "RPUSH %s x", "bull:bad:de:k": "RPUSH %s x", "bull:bad:a": "RPUSH %s x",
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			ledger := r.backend.Ledger()
			syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(2, "v1")})
			claims := claimAll(t, ledger, byHand("job-00000", "1"), byHand("job-00001", "1"))
			bad, good := dispatchOf(claims[0].Claim), dispatchOf(claims[1].Claim)
			bad.Job.Queue, bad.Job.Options.ID, bad.Job.Options.Deduplication = "bad", "a", domain.Deduplication{Key: "k"}
			r.do(fmt.Sprintf(spoil, key))
			results := dispatchAll(t, r.backend, bad, good)
			if err := results[0].Err; err == nil || !strings.Contains(err.Error(), "("+key+")") || results[0].Status != 0 {
				t.Errorf("the damaged dispatch is %+v, want an error that names %s", results[0], key)
			}
			if results[1].Status != domain.Dispatched {
				t.Errorf("the other dispatch is %+v, want it dispatched", results[1])
			}
			r.do("DEL " + key)
			if result := dispatchAll(t, r.backend, bad)[0]; result.Status != domain.Dispatched || result.ID != "a" {
				t.Errorf("Dispatch of a mended queue = %+v, want it dispatched", result)
			}
		})
	}
}
