package redisqueue_test

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// upsert makes a scheduler that must be accepted.
func (r *rawQueue) upsert(s redisqueue.Scheduler) redisqueue.SchedulerState {
	r.Helper()
	state, err := r.queue().UpsertScheduler(r.Context(), s)
	if err != nil {
		r.Fatalf("UpsertScheduler(%s) = %v, want no error", s.ID, err)
	}
	return state
}

// fullScheduler has all that a scheduler can have.
func fullScheduler() redisqueue.Scheduler {
	begin := time.UnixMilli(time.Now().UnixMilli()).Add(100 * time.Hour)
	return redisqueue.Scheduler{
		ID: "digest", Pattern: "0 30 7 * * 1-5", Zone: "Europe/Berlin", Limit: 9, StartDate: begin, EndDate: begin.Add(1000 * time.Hour),
		Template: redisqueue.Template{
			Name: "send", Data: []byte(`{"a":"<&>"}`), Options: domain.JobOptions{
				Priority: 4, LIFO: true, Attempts: 3, Backoff: domain.Backoff{Kind: domain.BackoffExponential, Delay: time.Second, Jitter: 0.5},
				KeepCompleted: domain.KeepLast(7), KeepFailed: domain.KeepFor(time.Hour),
			},
			Extras: redisqueue.Extras{
				KeepLogs: 5, StackTraceLimit: 2, SizeLimit: 1000, OnFailure: redisqueue.IgnoreFailure,
				Telemetry: redisqueue.Telemetry{Metadata: "trace", OmitContext: true},
			},
		},
	}
}

func TestUpsertScheduler_returnsWhatTheQueueThenHolds(t *testing.T) {
	r := newRawQueue(t, nil)
	hourly := redisqueue.Scheduler{ID: "hourly", Every: time.Hour, Offset: 20 * time.Minute}
	for _, s := range []redisqueue.Scheduler{fullScheduler(), hourly, {ID: "min", Every: time.Millisecond}} {
		state := r.upsert(s)
		held, err := r.queue().Scheduler(t.Context(), s.ID)
		if err != nil {
			t.Fatalf("Scheduler(%s) = %v, want it", s.ID, err)
		}
		if diff := cmp.Diff(state, held, cmpopts.EquateApproxTime(0)); diff != "" {
			t.Errorf("UpsertScheduler(%s) and Scheduler differ (-first +second):\n%s", s.ID, diff)
		}
		want := s
		want.Offset = state.Offset
		if s.Template.Name == "" {
			want.Template.Name = s.ID
		}
		if diff := cmp.Diff(want, held.Scheduler, cmpopts.EquateApproxTime(0)); diff != "" {
			t.Errorf("Scheduler(%s) differs from what was asked for (-want +got):\n%s", s.ID, diff)
		}
		if state.Iterations != 1 || string(state.Pending) != "repeat:"+s.ID+":"+strconv.FormatInt(state.Next.UnixMilli(), 10) {
			t.Errorf("UpsertScheduler(%s) = %+v, want one iteration and the id of its run", s.ID, state)
		}
		if n := r.rdb.Exists(t.Context(), "bull:q:"+string(state.Pending)).Val(); n != 1 {
			t.Errorf("the run %s is not there", state.Pending)
		}
	}
}

func TestUpsertScheduler_refusesWhatCannotBeScheduled(t *testing.T) {
	r := newRawQueue(t, nil)
	now := time.Now()
	for want, s := range map[string]redisqueue.Scheduler{
		"id is empty":                             {Every: time.Hour},
		"more than 3 colons":                      {ID: "a:b:c:d:e", Every: time.Hour},
		"ends like the id of a run":               {ID: "a:1795730123456", Every: time.Hour},
		"do not print":                            {ID: "a\nb", Every: time.Hour},
		"bytes long":                              {ID: strings.Repeat("x", 300), Every: time.Hour},
		"neither Every nor Pattern":               {ID: "s"},
		"Every and Pattern exclude":               {ID: "s", Every: time.Hour, Pattern: "* * * * *"},
		"interval 1.5ms":                          {ID: "s", Every: 1500 * time.Microsecond},
		"interval -1s":                            {ID: "s", Every: -time.Second},
		"Offset is for intervals":                 {ID: "s", Pattern: "* * * * *", Offset: time.Second},
		"offset 1h0m0s":                           {ID: "s", Every: time.Hour, Offset: time.Hour},
		"offset -1s":                              {ID: "s", Every: time.Hour, Offset: -time.Second},
		"Zone is for patterns":                    {ID: "s", Every: time.Hour, Zone: "UTC"},
		"Immediately is for patterns":             {ID: "s", Every: time.Hour, Immediately: true},
		"Immediately and StartDate":               {ID: "s", Pattern: "* * * * *", Immediately: true, StartDate: now},
		"count 3 leaves nothing":                  {ID: "s", Every: time.Hour, Limit: 3, Count: 3},
		"limit 0, count -1":                       {ID: "s", Every: time.Hour, Count: -1},
		"limit -1":                                {ID: "s", Every: time.Hour, Limit: -1},
		"is past":                                 {ID: "s", Every: time.Hour, EndDate: now.Add(-time.Second)},
		"is before StartDate":                     {ID: "s", Every: time.Hour, StartDate: now.Add(2 * time.Hour), EndDate: now.Add(time.Hour)},
		`pattern: minute "61"`:                    {ID: "s", Pattern: "61 * * * *"},
		"it lists 5 twice":                        {ID: "s", Pattern: "5,5 * * * *"},
		`zone "Mars" is not known`:                {ID: "s", Pattern: "* * * * *", Zone: "Mars"},
		`does not match until`:                    {ID: "s", Pattern: "0 0 29 2 *", EndDate: now.Add(time.Hour)},
		`"0 0 31 4,6 *" never matches`:            {ID: "s", Pattern: "0 0 31 4,6 *"},
		"ID, Delay and Deduplication":             {ID: "s", Every: time.Hour, Template: redisqueue.Template{Options: domain.JobOptions{Delay: 1}}},
		"Timestamp is not":                        {ID: "s", Every: time.Hour, Template: redisqueue.Template{Extras: redisqueue.Extras{Timestamp: now}}},
		"its data is not JSON":                    {ID: "s", Every: time.Hour, Template: redisqueue.Template{Data: []byte("{")}},
		"priority -1":                             {ID: "s", Every: time.Hour, Template: redisqueue.Template{Options: domain.JobOptions{Priority: -1}}},
		`policy "x" for a parent is unknown`:      {ID: "s", Every: time.Hour, Template: redisqueue.Template{Extras: redisqueue.Extras{OnFailure: "x"}}},
		"job name \" s\": has white space around": {ID: "s", Every: time.Hour, Template: redisqueue.Template{Name: " s"}},
	} {
		_, err := r.queue().UpsertScheduler(t.Context(), s)
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("UpsertScheduler(%+v) = %v, want %v with %q", s, err, domain.ErrInvalid, want)
		}
	}
	large := redisqueue.Scheduler{ID: "s", Every: time.Hour, Template: redisqueue.Template{Data: bytes.Repeat([]byte("1"), 300<<10)}}
	if _, err := r.queue().UpsertScheduler(t.Context(), large); !errors.Is(err, domain.ErrTooLarge) {
		t.Errorf("UpsertScheduler(300 KiB of data) = %v, want %v", err, domain.ErrTooLarge)
	}
	if keys := r.rdb.Keys(t.Context(), "*").Val(); len(keys) != 0 {
		t.Errorf("keys %v are there, want nothing written", keys)
	}
}

// The offset stays with a run that is replaced, whatever the new interval is.
func TestUpsertScheduler_keepsTheOffsetOfARunThatIsReplaced(t *testing.T) {
	r := newRawQueue(t, nil)
	r.upsert(redisqueue.Scheduler{ID: "s", Every: time.Hour, Offset: 20 * time.Minute})
	for _, every := range []time.Duration{time.Hour, 2 * time.Hour} {
		if state := r.upsert(redisqueue.Scheduler{ID: "s", Every: every}); state.Offset != 20*time.Minute {
			t.Errorf("offset with the interval %s = %s, want the 20m that it had", every, state.Offset)
		}
	}
	if state := r.upsert(redisqueue.Scheduler{ID: "s", Every: time.Hour, Offset: time.Minute}); state.Offset != time.Minute {
		t.Errorf("offset = %s, want the minute that was asked for", state.Offset)
	}
}

// A refusal leaves the run that is planned where it is.
func TestUpsertScheduler_changesNothingWhenSlotsAreBusy(t *testing.T) {
	r := newRawQueue(t, nil)
	begin := time.Now().Add(10 * time.Hour).Truncate(time.Hour)
	before := r.upsert(redisqueue.Scheduler{ID: "s", Every: time.Minute, StartDate: begin.Add(-time.Minute)})
	for i := range 40 {
		r.do("HSET bull:q:repeat:s:" + strconv.FormatInt(begin.Add(time.Duration(i)*time.Hour).UnixMilli(), 10) + " name n timestamp 1")
	}
	for want, s := range map[error]redisqueue.Scheduler{
		redisqueue.ErrSlotsBusy: {ID: "s", Every: time.Hour, StartDate: begin},
		redisqueue.ErrRunExists: {ID: "s", Pattern: "0 0 * * * *", StartDate: begin},
	} {
		if _, err := r.queue().UpsertScheduler(t.Context(), s); !errors.Is(err, want) {
			t.Errorf("UpsertScheduler(%+v) = %v, want %v", s, err, want)
		}
		after, err := r.queue().Scheduler(t.Context(), "s")
		if diff := cmp.Diff(before, after, cmpopts.EquateApproxTime(0)); err != nil || diff != "" {
			t.Errorf("after %v the scheduler has changed (-before +after): %v\n%s", want, err, diff)
		}
		if score := r.rdb.ZScore(t.Context(), "bull:q:delayed", string(before.Pending)).Val(); score == 0 {
			t.Errorf("after %v the run that was planned is gone", want)
		}
	}
}

// Replies get lost, and each call takes effect once.
func TestSchedulersGoOnInOneChainWhateverRepliesAreLost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := proxy.Start(t, server.Addr)
	r := &rawQueue{TB: t, server: server, rdb: server.Client(), backend: open(t, server, func(c *redisqueue.Config) { c.Connection.Addr = p.Addr })}
	p.Set(proxy.Every(2, proxy.Verdict{Kind: proxy.DropReply}, func(request []byte) bool { return bytes.Contains(bytes.ToLower(request), []byte("evalsha")) }))
	const rounds = 12
	for i := range rounds {
		s := redisqueue.Scheduler{ID: "s", Every: time.Duration(1+i%3) * time.Hour}
		if i%4 == 3 {
			s.Every, s.Pattern = 0, "0 3 * * *"
		}
		state := r.upsert(s)
		runs := r.rdb.Keys(t.Context(), "bull:q:repeat:s:*").Val()
		if len(runs) != 1 || runs[0] != "bull:q:"+string(state.Pending) {
			t.Fatalf("after change %d the runs are %v, want %s alone", i+1, runs, state.Pending)
		}
	}
	if id := r.rdb.Get(t.Context(), "bull:q:id").Val(); id != strconv.Itoa(rounds) {
		t.Errorf("the counter of ids is %s, want %d", id, rounds)
	}
	if p.Count(proxy.DropReply) < rounds/2 {
		t.Errorf("%d replies were dropped, want many", p.Count(proxy.DropReply))
	}
	for _, want := range []bool{true, false} {
		if removed, err := r.queue().RemoveScheduler(t.Context(), "s"); err != nil || removed != want {
			t.Errorf("RemoveScheduler = %t, %v, want %t", removed, err, want)
		}
	}
}

// What is in the place of a key is named, and nothing is changed.
func TestSchedulersNameAKeyOfTheWrongType(t *testing.T) {
	t.Parallel()
	ranked := redisqueue.Scheduler{ID: "s", Every: time.Hour, Template: redisqueue.Template{Options: domain.JobOptions{Priority: 1}}}
	for key, value := range map[string]string{
		"repeat": "SET bull:q:repeat x", "repeat:s": "RPUSH bull:q:repeat:s x", "delayed": "SET bull:q:delayed x", "wait": "SET bull:q:wait x",
		"paused": "SET bull:q:paused x", "events": "SET bull:q:events x", "prioritized": "SET bull:q:prioritized x",
		"id": "SET bull:q:id x", "meta": "SET bull:q:meta x",
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			r.upsert(redisqueue.Scheduler{ID: "s", Every: time.Minute})
			r.do("DEL bull:q:"+key, value)
			before := r.keysAndTypes()
			_, err := r.queue().UpsertScheduler(t.Context(), ranked)
			if err == nil || errors.Is(err, ports.ErrUnavailable) {
				t.Errorf("UpsertScheduler = %v, want an error that lasts", err)
			}
			if strings.HasPrefix(key, "repeat") || len(key) == 2 {
				if !strings.Contains(err.Error(), "bull:q:"+key+")") {
					t.Errorf("UpsertScheduler = %v, want the key %s named", err, key)
				}
			}
			if diff := cmp.Diff(before, r.keysAndTypes()); diff != "" {
				t.Errorf("keys have changed:\n%s", diff)
			}
			if key == "repeat:s" {
				for _, call := range []func() error{
					func() error { _, err := r.queue().Scheduler(t.Context(), "s"); return err },
					func() error { _, err := r.queue().RemoveScheduler(t.Context(), "s"); return err },
				} {
					if err := call(); err == nil || !strings.Contains(err.Error(), "(bull:q:repeat:s)") {
						t.Errorf("error = %v, want the key named", err)
					}
				}
			}
		})
	}
}

// keysAndTypes returns the types of BullMQ's keys, and what is said of jobs.
func (r *rawQueue) keysAndTypes() map[string]string {
	r.Helper()
	types := map[string]string{}
	for _, key := range r.rdb.Keys(r.Context(), "bull:*").Val() {
		types[key] = r.rdb.Type(r.Context(), key).Val()
		if types[key] == "hash" {
			types[key] += r.rdb.HGet(r.Context(), key, "opts").Val()
		}
	}
	return types
}

// What others wrote of a scheduler never stops a listing.
func TestSchedulers_listDamagedDefinitions(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do(
		"ZADD bull:q:repeat 5 ghost 1e300 far -7 early", "HSET bull:q:repeat:far every x limit y startDate z endDate {} ic no offset -1 opts [ data {",
		"HSET bull:q:repeat:early every 1e300 limit 1e300 startDate 1e300 ic 1e300 opts null",
	)
	states, err := r.queue().Schedulers(t.Context(), redisqueue.SchedulerRange{Ascending: true})
	if err != nil || len(states) != 2 || states[0].ID != "early" || states[1].ID != "far" {
		t.Errorf("Schedulers = %+v, %v, want early and far", states, err)
	}
	for _, id := range []string{"ghost", "none"} {
		if _, err := r.queue().Scheduler(t.Context(), id); !errors.Is(err, ports.ErrNotFound) {
			t.Errorf("Scheduler(%s) = %v, want %v", id, err, ports.ErrNotFound)
		}
	}
	for _, id := range []string{"ghost", "far", "early"} {
		if removed, err := r.queue().RemoveScheduler(t.Context(), id); !removed || err != nil {
			t.Errorf("RemoveScheduler(%s) = %t, %v, want it removed", id, removed, err)
		}
	}
}

func TestSchedulers_pageByTheNextRun(t *testing.T) {
	t.Parallel()
	r := newRawQueue(t, nil)
	const count = 120
	begin := time.Now().Add(time.Hour)
	for i := range count {
		r.upsert(redisqueue.Scheduler{
			ID: "s" + strconv.Itoa(i), Every: time.Hour, StartDate: begin.Add(time.Duration(i) * time.Second),
			// Pages end early, as they are large.
			Template: redisqueue.Template{Data: []byte(`"` + strings.Repeat("x", 10_000) + `"`)},
		})
	}
	if n, err := r.queue().CountSchedulers(t.Context()); n != count || err != nil {
		t.Errorf("CountSchedulers = %d, %v, want %d", n, err, count)
	}
	for _, c := range []struct {
		r           redisqueue.SchedulerRange
		first, last string
		n           int
	}{
		{redisqueue.SchedulerRange{}, "s119", "s0", count},
		{redisqueue.SchedulerRange{Ascending: true}, "s0", "s119", count},
		{redisqueue.SchedulerRange{Offset: 10, Limit: 70}, "s109", "s40", 70},
		{redisqueue.SchedulerRange{Offset: 118, Limit: 70, Ascending: true}, "s118", "s119", 2},
		{redisqueue.SchedulerRange{Offset: 118, Limit: math.MaxInt, Ascending: true}, "s118", "s119", 2},
	} {
		states, err := r.queue().Schedulers(t.Context(), c.r)
		if err != nil || len(states) != c.n || states[0].ID != c.first || states[len(states)-1].ID != c.last {
			t.Errorf("Schedulers(%+v) = %d of them, %v, want %d from %s to %s", c.r, len(states), err, c.n, c.first, c.last)
		}
	}
	if states, err := r.queue().Schedulers(t.Context(), redisqueue.SchedulerRange{Offset: math.MaxInt, Limit: math.MaxInt}); len(states) != 0 || err != nil {
		t.Errorf("Schedulers behind all numbers = %v, %v, want none", states, err)
	}
	if states, err := r.queue().Schedulers(t.Context(), redisqueue.SchedulerRange{Offset: count}); len(states) != 0 || err != nil {
		t.Errorf("Schedulers(behind the end) = %d of them, %v, want none", len(states), err)
	}
	if _, err := r.queue().Schedulers(t.Context(), redisqueue.SchedulerRange{Offset: -1}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("Schedulers(offset -1) = %v, want %v", err, domain.ErrInvalid)
	}
}

func TestAWorkerOfTheRightsFileSchedules(t *testing.T) {
	server, connection := startGuarded(t, "bull")
	wantNoRefusals(t, server)
	r := &rawQueue{TB: t, server: server, rdb: server.Client(), backend: open(t, server, func(c *redisqueue.Config) { c.Connection = connection })}
	r.upsert(fullScheduler())
	r.upsert(redisqueue.Scheduler{ID: "s", Every: time.Hour})
	r.upsert(redisqueue.Scheduler{ID: "s", Every: 2 * time.Hour})
	if states, err := r.queue().Schedulers(t.Context(), redisqueue.SchedulerRange{}); len(states) != 2 || err != nil {
		t.Errorf("Schedulers = %d, %v, want two", len(states), err)
	}
	if n, err := r.queue().CountSchedulers(t.Context()); n != 2 || err != nil {
		t.Errorf("CountSchedulers = %d, %v, want two", n, err)
	}
	if removed, err := r.queue().RemoveScheduler(t.Context(), "digest"); !removed || err != nil {
		t.Errorf("RemoveScheduler = %t, %v, want it removed", removed, err)
	}
}
