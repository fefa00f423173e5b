package redisqueue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

func TestDamagedJobsAreShownAsFarAsTheyCanBeRead(t *testing.T) {
	r := newRawQueue(t, func(c *redisqueue.Config) { c.MaxPayload = 100 })
	r.do("RPUSH bull:q:wait fine ghost list hurt 0:marker huge", "HSET bull:q:fine name n timestamp 1 data {} opts {}",
		"RPUSH bull:q:list x", "HSET bull:q:hurt data { opts [[[ timestamp NaN priority -4 atm 1e99 stacktrace {} progress :",
		"HSET bull:q:huge name n timestamp 1 data "+strings.Repeat("x", 101), "RPUSH bull:q:hurt:logs one", "SET bull:q:huge:logs text")
	views := r.views(domain.JobFilter{State: domain.StateWait})
	if got, want := viewIDs(views), []domain.JobID{"huge", "hurt", "list", "ghost", "fine"}; !slices.Equal(got, want) {
		t.Fatalf("Jobs = %v, want %v", got, want)
	}
	if huge := views[0]; huge.Job.Data != nil || huge.Job.Name != "n" {
		t.Errorf("large job = %+v, want it without its data", huge.Job)
	}
	if hurt := views[1]; string(hurt.Job.Data) != "{" || !hurt.Job.CreatedAt.IsZero() || hurt.Job.Options.Priority != 0 || len(hurt.Log) != 1 {
		t.Errorf("damaged job = %+v, want what can be read of it", hurt)
	}
	for _, view := range views[2:4] {
		if view.Job.Name != "" || view.State != domain.StateWait {
			t.Errorf("id without a job = %+v, want its id and state", view)
		}
	}
	if _, err := r.backend.Counts(t.Context(), "q"); err != nil {
		t.Errorf("Counts = %v, want no error", err)
	}
}

func TestAJobThatIsNowhereHasNoState(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("HSET bull:q:adrift name n timestamp 5", "HSET bull:q:repeat:s name n data {} opts {}", "HSET bull:q:meta paused 1")
	if views := r.views(domain.JobFilter{ID: "adrift"}); len(views) != 1 || views[0].State != "" || views[0].Job.CreatedAt.UnixMilli() != 5 {
		t.Errorf("Jobs(adrift) = %+v, want the job without a state", views)
	}
	for _, id := range []domain.JobID{"meta", "repeat:s", "nobody", "wait"} {
		if views := r.views(domain.JobFilter{ID: id}); len(views) != 0 {
			t.Errorf("Jobs(%s) = %+v, want none", id, views)
		}
	}
}

func TestThePartsOfAPausedQueueAreListedInOrder(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("RPUSH bull:q:paused c b a", "RPUSH bull:q:wait e d", "RPUSH bull:q:active z y")
	for id := range strings.FieldsSeq("a b c d e y z") {
		r.do("HSET bull:q:" + id + " name n timestamp 1")
	}
	for _, c := range []struct {
		filter domain.JobFilter
		want   string
	}{
		{domain.JobFilter{State: domain.StateWait}, "[a b c d e]"},
		{domain.JobFilter{State: domain.StateWait, Offset: 1, Limit: 3}, "[b c d]"},
		{domain.JobFilter{State: domain.StateWait, Offset: 3, Limit: 9}, "[d e]"},
		{domain.JobFilter{State: domain.StateActive, Offset: 1}, "[z]"},
	} {
		if got := fmt.Sprint(viewIDs(r.views(c.filter))); got != c.want {
			t.Errorf("Jobs(%+v) = %s, want %s", c.filter, got, c.want)
		}
	}
}

func TestParkedJobsAreToldFromDelayedOnes(t *testing.T) {
	t.Parallel()
	r := newRawQueue(t, nil)
	for i := range 2400 {
		id := fmt.Sprintf("j%04d", i)
		r.do(fmt.Sprintf("HSET bull:q:%s name n timestamp 1", id), fmt.Sprintf("ZADD bull:q:delayed %d %s", 4096*(1000+i), id))
		if i%2 == 0 {
			r.do("HSET takt:{bull}:default:parked:q " + id + " n")
		}
	}
	// Others have removed these.
	r.do("HSET takt:{bull}:default:parked:q gone n gone2 n")
	counts, err := r.backend.Counts(t.Context(), "q")
	if err != nil || counts[0].Jobs[domain.StateParked] < 1200 {
		t.Errorf("Counts = %v, %v, want 1200 parked jobs", counts, err)
	}
	for _, c := range []struct {
		filter domain.JobFilter
		want   string
	}{
		{domain.JobFilter{State: domain.StateParked, Limit: 3}, "[j0000 j0002 j0004]"},
		{domain.JobFilter{State: domain.StateDelayed, Limit: 3}, "[j0001 j0003 j0005]"},
		{domain.JobFilter{State: domain.StateParked, Offset: 1198}, "[j2396 j2398]"},
		{domain.JobFilter{State: domain.StateDelayed, Offset: 1198}, "[j2397 j2399]"},
		{domain.JobFilter{State: domain.StateParked, Offset: 5000}, "[]"},
		{domain.JobFilter{State: domain.StateDelayed, Offset: 5000}, "[]"},
	} {
		views := r.views(c.filter)
		if got := fmt.Sprint(viewIDs(views)); got != c.want {
			t.Errorf("Jobs(%+v) = %s, want %s", c.filter, got, c.want)
		}
		for _, view := range views {
			if view.State != c.filter.State || view.DueAt.IsZero() {
				t.Errorf("job %s is %q, due %v, want %q and a time", view.Job.ID, view.State, view.DueAt, c.filter.State)
			}
		}
	}
}

func TestPagesOfLargeJobsComeWhole(t *testing.T) {
	t.Parallel()
	r := newRawQueue(t, nil)
	jobs := make([]domain.NewJob, 60)
	for i := range jobs {
		jobs[i] = domain.NewJob{Queue: "q", Name: "n", Data: []byte(`"` + strings.Repeat("x", 200_000) + `"`)}
	}
	if _, err := r.backend.Enqueue(t.Context(), jobs...); err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
	views := r.views(domain.JobFilter{State: domain.StateWait})
	if len(views) != len(jobs) {
		t.Fatalf("Jobs = %d jobs, want %d", len(views), len(jobs))
	}
	for i := range views {
		if want := domain.JobID(fmt.Sprint(i + 1)); views[i].Job.ID != want || len(views[i].Job.Data) != 200_002 {
			t.Fatalf("job %d is %s with %d bytes, want %s with all of them", i, views[i].Job.ID, len(views[i].Job.Data), want)
		}
	}
}

func TestTheStackOfTheLatestFailureIsShown(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	r.add(domain.JobOptions{Attempts: 2})
	for _, reason := range []string{"first", "second\nline"} {
		lease := reserve(t, c, 1)[0]
		outcome := domain.Outcome{Kind: domain.Retry, Reason: reason, Stack: "at " + reason}
		if lease.Job.AttemptsMade == 1 {
			outcome.Kind = domain.Failed
		}
		settleOne(t, c, &lease, outcome)
	}
	view := r.views(domain.JobFilter{State: domain.StateFailed})[0]
	if view.Reason != "second\nline" || view.Stack != "at second\nline" || view.Job.AttemptsMade != 2 {
		t.Errorf("failed job has reason %q, stack %q, %d attempts, want the latest of each", view.Reason, view.Stack, view.Job.AttemptsMade)
	}
	r.do(`HSET bull:q:node name n timestamp 1 failedReason boom stacktrace ["TypeError:boom\n\tat\tx"]`)
	if view := r.views(domain.JobFilter{ID: "node"})[0]; view.Stack != "TypeError:boom\n\tat\tx" {
		t.Errorf("stack of Node = %q, want all of it", view.Stack)
	}
}

func TestTheOldestJobOfEveryKindIsFound(t *testing.T) {
	for name, fill := range map[string]string{
		"next in line": "LPUSH bull:q:wait old new", "behind jobs put in front": "RPUSH bull:q:wait old new new2",
		"set aside": "LPUSH bull:q:paused old new", "of a low priority": "ZADD bull:q:prioritized 4294967297 new 8589934593 old 8589934594 new2",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRawQueue(t, nil)
			r.do(fill, "HSET bull:q:old timestamp 1000", "HSET bull:q:new timestamp 2000", "HSET bull:q:new2 timestamp 3000")
			counts, err := r.backend.Counts(t.Context(), "q")
			if err != nil || !counts[0].OldestWaiting.Equal(time.UnixMilli(1000)) {
				t.Errorf("Counts = %+v, %v, want the oldest of 1000 ms", counts, err)
			}
		})
	}
}

// Delayed jobs are told from parked ones in one pass, however many are wanted.
func TestDelayedJobsAreListedInOnePass(t *testing.T) {
	t.Parallel()
	const jobs, parked = 5000, 10
	r := newRawQueue(t, nil)
	r.fill("delayed", jobs)
	for i := range parked {
		r.do(fmt.Sprintf("HSET takt:{bull}:default:parked:q j%d n", 100*i))
	}
	r.do("CONFIG RESETSTAT")
	views := r.views(domain.JobFilter{State: domain.StateDelayed, Offset: 5, Limit: jobs})
	if len(views) != jobs-parked-5 || views[0].Job.ID != "j6" || views[len(views)-1].Job.ID != "j4999" {
		t.Errorf("%d jobs from %s on, want %d from j6 on", len(views), views[0].Job.ID, jobs-parked-5)
	}
	if calls := r.calls("zrange"); calls > 7 {
		t.Errorf("%d pages of ids were read, want each once", calls)
	}
	r.do("DEL takt:{bull}:default:parked:q")
	if views := r.views(domain.JobFilter{State: domain.StateDelayed, Offset: 5, Limit: 2500}); len(views) != 2500 || views[2499].Job.ID != "j2504" {
		t.Errorf("%d jobs, want 2500 from j5 on", len(views))
	}
}

// What is too large to be shown is not read, as far as it can be told before;
// and no call reads much.
func TestLargeFieldsAreNotReadToBeLeftOut(t *testing.T) {
	t.Parallel()
	const jobs, size = 20, 2 << 20
	for field, calls := range map[string]int{"data": 1, "returnvalue": 1, "opts": 1, "stacktrace": jobs} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			for i := range jobs {
				id := fmt.Sprintf("j%d", i)
				r.do("HSET bull:q:"+id+" name n timestamp 1 failedReason no", "RPUSH bull:q:wait "+id)
				if err := r.rdb.HSet(t.Context(), "bull:q:"+id, field, strings.Repeat("x", size)).Err(); err != nil {
					t.Fatal(err)
				}
			}
			r.do("CONFIG RESETSTAT")
			views := r.views(domain.JobFilter{State: domain.StateWait})
			if len(views) != jobs || views[0].Job.Name != "n" || views[0].Reason != "no" || views[0].Job.Data != nil {
				t.Errorf("%d jobs, the first %+v, want %d without what is too large", len(views), views[0].Job, jobs)
			}
			if got := r.calls("evalsha"); got < calls {
				t.Errorf("%d calls, want at least %d", got, calls)
			}
			if read := r.calls("hgetall"); calls == 1 && read > 0 {
				t.Errorf("%d jobs were read whole", read)
			}
		})
	}
}
