package runner

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

const (
	// wakeSpacing lets ticks that lie close together share a wake.
	wakeSpacing = 2 * time.Millisecond
	// A waker that is armed is left alone if it wakes armedLate too late or
	// armedEarly too early at most: each news of the ledger says a little otherwise
	// what time it is, and a waker that is armed again costs more than the news.
	armedLate, armedEarly = 200 * time.Microsecond, wakeSpacing
	// claimBatch is the largest number of queries in one call of the ledger.
	claimBatch = 1000
	// claimPatience is how long all other writing waits while claims are made.
	claimPatience = 500 * time.Millisecond
)

// scheduler drives the runs of scheduled jobs. The waker calls it when ticks
// are due; the claim loop asks the ledger for them; each run that is granted
// is driven by a goroutine of its own.
type scheduler struct {
	cfg     Config
	ports   Ports
	journal *journal
	// claiming is shut while many claims are made.
	claiming *gate
	clock    *storeClock
	jobs     map[string]*jobState
	names    []string
	// catalog stands for the definitions of the jobs.
	catalog string

	claims     batcher[domain.Intent, domain.Verdict]
	finishes   batcher[domain.RunResult, bool]
	dispatches batcher[domain.Dispatch, domain.DispatchResult]

	// syncing is held while news are asked for and taken in, so that they come
	// in their order.
	syncing sync.Mutex

	mu sync.Mutex
	// mine plans the jobs that this replica is preferred for, others the
	// rest, which are looked at later.
	mine, others schedule.Planner
	// yieldUntil is when the others should be done with ticks that came due at
	// once with very many of mine.
	yieldUntil time.Time
	// late is how long claims of mine took, which counts until lateUntil.
	late      time.Duration
	lateUntil time.Time
	// strictest is the least lateness after which the misfire policy of any job
	// decides.
	strictest  time.Duration
	replicas   []string
	registered []domain.Definition
	scope      domain.Scope
	loaded     bool
	due        dueTicks
	lastWake   time.Time
	// armed is when the waker is to wake, zero if it is not known to.
	armed    time.Time
	lastSync time.Time
	// stepped is by how much the store's time was stepped since claims were last
	// looked after.
	stepped time.Duration
	version uint64
	// revised are jobs whose definition was superseded, or is valid again, and of
	// which the history does not know yet; untold those of which the log does not.
	revised, untold []*jobState
	runs            map[domain.RunKey]*run
	// busy counts what may still begin a run: see enter.
	busy    int
	quiet   bool
	drained chan struct{}
	// handedBack counts the runs that had begun and were given back since.
	handedBack int
	// givenBack tells that all runs that were left have been given back: no handler
	// begins any more.
	givenBack bool

	planned  chan struct{}
	quieting context.Context //nolint:containedctx // ends when the scheduler takes no new run
	quieten  context.CancelFunc
	// living bounds the calls whose outcome must be known, beyond the end of
	// a run or of a request; set by Start.
	living   context.Context //nolint:containedctx // ends when the scheduler has given back what was left
	released chan struct{}

	loops sync.WaitGroup
	// driving counts the runs under way until they are forgotten, and who looks after
	// their handlers; not the handlers that go on after that.
	driving sync.WaitGroup
}

// jobState is a scheduled job and what became of it so far. Its fields beside
// the definition are guarded by the scheduler's mutex.
type jobState struct {
	ScheduledJob
	state   domain.JobState
	running int
	// driven are the runs that this replica drives, in any order.
	driven []*run
	// jittering counts runs whose jitter has not passed.
	jittering int
	last      LastRun
	// lastTick is the latest tick that something was decided about.
	lastTick time.Time
	// revised tells that the job is among the scheduler's.
	revised bool

	labelled sync.Once
	labels   context.Context //nolint:containedctx // carries labels alone
}

// profilerLabels returns the labels of the job's handler. To make them costs a
// good part of what an attempt does: the first one does.
func (j *jobState) profilerLabels() context.Context {
	j.labelled.Do(func() { j.labels = label("", j.Name) })
	return j.labels
}

// LastRun is what became of the latest run of a job.
type LastRun struct {
	Run    domain.RunKey
	Event  domain.Event
	Reason string
	At     time.Time
}

// note keeps the latest decision about the job; it is called with the scheduler's
// mutex held.
func (j *jobState) note(latest *domain.Record, at time.Time) {
	j.last = LastRun{Run: latest.Run, Event: latest.Event, Reason: latest.Reason, At: at}
	if latest.Run.Origin != domain.OriginSchedule {
		return
	}
	for _, tick := range [...]time.Time{latest.Run.Planned(), latest.Until} {
		if tick.After(j.lastTick) {
			j.lastTick = tick
		}
	}
}

func newScheduler(r *Runner, jobs []ScheduledJob) *scheduler {
	s := &scheduler{
		cfg: r.cfg, ports: r.ports, journal: r.journal, claiming: r.journal.claiming, clock: r.clock,
		jobs:      make(map[string]*jobState, len(jobs)),
		runs:      map[domain.RunKey]*run{},
		strictest: r.cfg.Timing.MisfireAfter,

		drained:  make(chan struct{}),
		planned:  make(chan struct{}, 1),
		released: make(chan struct{}),
	}
	s.quieting, s.quieten = context.WithCancel(context.Background())
	for _, job := range jobs {
		job.Misfire.After = orDefault(job.Misfire.After, r.cfg.Timing.MisfireAfter)
		s.strictest = min(s.strictest, job.Misfire.After)
		s.jobs[job.Name] = &jobState{ScheduledJob: job}
		s.names = append(s.names, job.Name)
	}
	slices.Sort(s.names)
	s.catalog = catalogOf(s.names, s.jobs)
	s.claims = batcher[domain.Intent, domain.Verdict]{do: r.ports.Ledger.Claim, limit: claimBatch}
	s.finishes = batcher[domain.RunResult, bool]{do: s.writeEnds, limit: claimBatch}
	s.dispatches = batcher[domain.Dispatch, domain.DispatchResult]{do: r.ports.Dispatcher.Dispatch, limit: claimBatch}
	return s
}

// Start begins to tick, after Register. The loops end with living.
func (s *scheduler) Start(living context.Context) error {
	s.mu.Lock()
	s.living = living
	s.mu.Unlock()
	if err := s.ports.Waker.Start(s.wake); err != nil {
		return fmt.Errorf("start waker: %w", err)
	}
	s.loops.Go(func() { s.claimLoop(s.quieting) })
	s.loops.Go(func() { s.syncLoop(s.quieting) })
	s.loops.Go(func() { s.keepLoop(living) })
	s.runOnStart()
	s.rearm()
	return nil
}

// wake takes what is due and asks for the next wake. The waker calls it.
func (s *scheduler) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quiet {
		return
	}
	defer s.arm()
	s.armed = time.Time{}
	now := s.clock.Now()
	before := len(s.due.mine)
	if before == 0 {
		s.due.since = s.ports.Now()
	}
	s.mine.Due(now, func(due schedule.Due) { s.due.mine = append(s.due.mine, due) })
	if came := len(s.due.mine) - before; came > claimBatch {
		s.yieldUntil = s.ports.Now().Add(yieldOf(came))
	}
	s.others.Due(s.leftSince(now), func(due schedule.Due) { s.due.others = append(s.due.others, due) })
	if len(s.due.mine)+len(s.due.others) > 0 {
		s.lastWake = s.ports.Now()
		signal(s.planned)
	}
}

// rearm arms the waker anew, after the plan or the store's time has changed.
func (s *scheduler) rearm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arm()
}

// arm asks for a wake at the next deadline; it is called with mu held.
func (s *scheduler) arm() {
	next, stored := s.mine.NextDeadline(), s.clock.Now()
	if other := s.others.NextDeadline(); !other.IsZero() {
		if other = s.leftUntil(other, stored); next.IsZero() || other.Before(next) {
			next = other
		}
	}
	if next.IsZero() || s.quiet {
		return
	}
	now := s.ports.Now()
	d := max(next.Sub(stored), s.lastWake.Add(wakeSpacing).Sub(now))
	if later := now.Add(d).Sub(s.armed); later >= -armedLate && later <= armedEarly {
		return
	}
	s.armed = time.Time{}
	if err := s.ports.Waker.Arm(d); err != nil {
		s.ports.Log.ErrorContext(s.quieting, "waker not armed", "err", err)
		return
	}
	s.armed = now.Add(d)
}

// Quiesce stops ticks and gives back the runs that have not started.
func (s *scheduler) Quiesce() {
	s.mu.Lock()
	s.quiet = true
	s.checkDrained()
	s.mu.Unlock()
	s.quieten()
}

// enter announces something that may begin a run; it reports false when the
// scheduler takes no new one. A stop waits for the call of leave, so that
// what a ledger has granted is never left without an end.
func (s *scheduler) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quiet || s.living == nil {
		return false
	}
	s.busy++
	s.loops.Add(1)
	return true
}

func (s *scheduler) leave() {
	s.mu.Lock()
	s.busy--
	s.checkDrained()
	s.mu.Unlock()
	s.loops.Done()
}

// checkDrained is called with mu held.
func (s *scheduler) checkDrained() {
	if !s.quiet || s.busy > 0 || len(s.runs) > 0 {
		return
	}
	select {
	case <-s.drained:
	default:
		close(s.drained)
	}
}

// CancelAll ends the contexts of all runs.
func (s *scheduler) CancelAll(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		s.interrupt(r, cause)
	}
}

// Release gives back the runs whose handlers are still running and fences the
// handlers off. It returns how many runs did not come to their end, those
// that ended with their context included.
func (s *scheduler) Release(ctx context.Context) int {
	s.CancelAll(domain.ErrShutdown)
	s.mu.Lock()
	var results []domain.RunResult
	for _, r := range s.runs {
		if !r.ended {
			results = append(results, domain.RunResult{Claim: r.claim.Ref(), End: domain.EndReleased, Attempts: r.charged})
		}
	}
	count := len(results) + s.handedBack
	s.givenBack = true
	s.mu.Unlock()
	close(s.released)
	if len(results) == 0 {
		return count
	}
	if _, err := s.ports.Ledger.Finish(ctx, results); err != nil {
		s.ports.Log.ErrorContext(ctx, "runs not released: their claims run out by themselves", "count", len(results), "err", err)
	}
	return count
}

// Wait returns when the scheduler's goroutines have ended, those of handlers
// that were fenced off excepted.
func (s *scheduler) Wait() {
	s.loops.Wait()
	s.driving.Wait()
}
