package redisqueue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/test/redistest"
)

func TestDispatcher(t *testing.T) {
	server := redistest.Start(t)
	porttest.Dispatcher(t, func(t *testing.T, test func(*testing.T, porttest.DispatcherHarness)) {
		t.Parallel()
		backend := openIn(t, server, domain.DefaultNamespace)
		test(t, porttest.DispatcherHarness{
			Dispatcher: backend.Dispatcher(), Ledger: backend.Ledger(), Queue: backend, Inspector: backend,
			Lease: claimLease, Advance: func(d time.Duration) { <-time.After(d) },
		})
	})
}

// openIn returns a backend of the namespace under a prefix that is the test's.
func openIn(t testing.TB, server *redistest.Server, namespace string) *redisqueue.Backend {
	t.Helper()
	return open(t, server, func(c *redisqueue.Config) { c.Prefix, c.Namespace = ownPrefix(t), namespace })
}

// dispatchOf returns the dispatch of a job without an id.
func dispatchOf(claim domain.Claim) domain.Dispatch {
	return domain.Dispatch{Claim: claim.Ref(), Job: domain.NewJob{Queue: "mail", Name: "send", Data: []byte(`{}`)}}
}

func dispatchAll(t testing.TB, backend *redisqueue.Backend, dispatches ...domain.Dispatch) []domain.DispatchResult {
	t.Helper()
	results, err := backend.Dispatcher().Dispatch(t.Context(), dispatches)
	if err != nil {
		t.Fatalf("Dispatch = %v, want no error", err)
	}
	return results
}

func waiting(t testing.TB, backend *redisqueue.Backend) []string {
	t.Helper()
	views, err := backend.Jobs(t.Context(), "mail", domain.JobFilter{State: domain.StateWait, Limit: 1000})
	if err != nil {
		t.Fatalf("Jobs = %v, want no error", err)
	}
	ids := make([]string, len(views))
	for i := range views {
		ids[i] = string(views[i].Job.ID)
	}
	return ids
}

// The same job ticks in two namespaces at one instant, into one queue.
func TestDispatcher_keepsTheTicksOfNamespacesApart(t *testing.T) {
	server := redistest.Start(t)
	shop, news := openIn(t, server, "shop"), openIn(t, server, "news")
	var ids []string
	claims := map[*redisqueue.Backend]domain.Claim{}
	at := time.Now().Add(time.Hour).Truncate(time.Second)
	for _, backend := range []*redisqueue.Backend{shop, news} {
		ledger := backend.Ledger()
		cursor := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")}).Jobs[0].Cursor
		intent := tickAfter(at.Add(-time.Second))
		intent.Move.From = cursor
		verdict := claimAll(t, ledger, intent)[0]
		if verdict.Kind != domain.Granted {
			t.Fatalf("the tick is %q, want granted in each namespace", verdict.Kind)
		}
		claims[backend] = verdict.Claim
	}
	if result := dispatchAll(t, news, dispatchOf(claims[shop]))[0]; result.Status != domain.DispatchLost {
		t.Errorf("a claim of another namespace is %+v, want it lost", result)
	}
	for _, backend := range []*redisqueue.Backend{shop, news} {
		result := dispatchAll(t, backend, dispatchOf(claims[backend]))[0]
		if result.Status != domain.Dispatched {
			t.Fatalf("Dispatch = %+v, want it dispatched", result)
		}
		ids = append(ids, string(result.ID))
	}
	want := []string{fmt.Sprint("tick.shop@job-00000.", at.UnixMilli()), fmt.Sprint("tick.news@job-00000.", at.UnixMilli())}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("the jobs' ids differ (-want +got):\n%s", diff)
	}
	if got := len(waiting(t, shop)); got != 2 {
		t.Errorf("%d jobs wait, want one of each namespace", got)
	}
	if err := shop.Ledger().PauseJob(t.Context(), "job-00000"); err != nil {
		t.Fatalf("PauseJob = %v, want no error", err)
	}
	if verdict := claimAll(t, news.Ledger(), tickAfter(at))[0]; verdict.Kind != domain.Granted {
		t.Errorf("the next tick is %q after a pause in another namespace, want granted", verdict.Kind)
	}
}

func TestDispatcher_refusesARunWhoseJobIsGoneAlready(t *testing.T) {
	server := redistest.Start(t)
	backend := openIn(t, server, "gone")
	ledger := backend.Ledger()
	syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")})
	claim := claimAll(t, ledger, byHand("job-00000", "1"))[0].Claim
	id := dispatchAll(t, backend, dispatchOf(claim))[0].ID
	if got := waiting(t, backend); len(got) != 1 || got[0] != string(id) {
		t.Errorf("%q wait, want %q", got, id)
	}
	operation := domain.Operation{Kind: domain.OpRemove, IDs: []domain.JobID{id}}
	if _, err := backend.Apply(t.Context(), "mail", operation); err != nil {
		t.Fatalf("Apply(remove) = %v, want no error", err)
	}
	// The same call again, as one whose answer its caller never got.
	if again := dispatchAll(t, backend, dispatchOf(claim))[0]; again.Status != domain.Dispatched || again.ID != id {
		t.Errorf("Dispatch again = %+v, want the job %s as before", again, id)
	}
	// The ledger lost its memory, the receipt did not.
	for _, key := range []string{"runs", "leases"} {
		server.Client().Del(t.Context(), "takt:{"+ownPrefix(t)+"}:gone:ledger:"+key)
	}
	claim = claimAll(t, ledger, byHand("job-00000", "1"))[0].Claim
	if again := dispatchAll(t, backend, dispatchOf(claim))[0]; again.Status != domain.Dispatched || again.ID != id {
		t.Errorf("Dispatch under a new claim = %+v, want the job %s as before", again, id)
	}
	if got := waiting(t, backend); len(got) != 0 {
		t.Errorf("%q wait, want none", got)
	}
	receipts := server.Client().Keys(t.Context(), "*:receipt:*").Val()
	if len(receipts) != 1 || !strings.HasPrefix(receipts[0], "takt:{"+ownPrefix(t)+"}:gone:receipt:gone/job-00000@manual:1") {
		t.Fatalf("the receipts are %q, want one of the run", receipts)
	}
	if ttl := server.Client().TTL(t.Context(), receipts[0]).Val(); ttl <= domain.ReceiptLife-time.Minute || ttl > domain.ReceiptLife {
		t.Errorf("the receipt lives for %s, want %s", ttl, domain.ReceiptLife)
	}
}

func TestDispatcher_carriesLongBatchesInParts(t *testing.T) {
	backend := openIn(t, redistest.Start(t), "long")
	ledger := backend.Ledger()
	syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")})
	intents := make([]domain.Intent, 230)
	for i := range intents {
		intents[i] = byHand("job-00000", fmt.Sprint(i))
	}
	var dispatches []domain.Dispatch
	for _, v := range claimAll(t, ledger, intents...) {
		dispatches = append(dispatches, dispatchOf(v.Claim))
	}
	dispatches[7].Job.Data = []byte("no JSON")
	dispatches[8].Claim.Token++
	large := []byte(`"` + strings.Repeat("x", 200<<10) + `"`)
	dispatches[20].Job.Data, dispatches[21].Job.Data = large, large
	want := map[int]domain.DispatchStatus{7: 0, 8: domain.DispatchLost}
	for i, result := range dispatchAll(t, backend, dispatches...) {
		status, special := want[i]
		if !special {
			status = domain.Dispatched
		}
		if result.Status != status || (result.ID != "") != (status == domain.Dispatched) || errors.Is(result.Err, domain.ErrInvalid) != (i == 7) {
			t.Errorf("result %d is %+v, want status %d", i, result, status)
		}
	}
	if got := len(waiting(t, backend)); got != 228 {
		t.Errorf("%d jobs wait, want 228", got)
	}
	if renewals, err := ledger.Renew(t.Context(), []domain.ClaimRef{dispatches[7].Claim}, time.Minute); err != nil || renewals[0] != domain.RenewalHeld {
		t.Errorf("Renew(refused) = %v, %v, want it held", renewals, err)
	}
}

func TestDispatcher_enqueuesOnceWhenRepliesAreLost(t *testing.T) {
	t.Parallel()
	const runs = 60
	server := redistest.Start(t)
	addr, lost := forgetful(t, server.Addr)
	backend := open(t, server, func(c *redisqueue.Config) {
		c.Connection.Addr, c.Prefix, c.Namespace = addr, ownPrefix(t), "lost"
	})
	ledger := backend.Ledger()
	syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")})
	for i := range runs {
		claim := claimAll(t, ledger, byHand("job-00000", fmt.Sprint(i)))[0].Claim
		dispatch := dispatchOf(claim)
		dispatch.Job.Options.KeepCompleted = domain.KeepNone()
		if result := dispatchAll(t, backend, dispatch)[0]; result.Status != domain.Dispatched {
			t.Fatalf("run %d is %+v, want it dispatched", i, result)
		}
	}
	if got := len(waiting(t, backend)); got != runs || lost.Load() < runs/2 {
		t.Errorf("%d jobs wait after %d lost replies, want %d", got, lost.Load(), runs)
	}
}
