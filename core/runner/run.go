package runner

import (
	"errors"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// run is a claimed run on this replica.
type run struct {
	job *jobState
	// claim's token may change while the run is under way: read it with ref.
	claim domain.Claim
	// late is how long after its planned instant, and its jitter, the next
	// attempt begins; zero for those after the first.
	late time.Duration
	// ctx ends, with a cause, when the run must give up whatever it does.
	ctx deferredContext
	// attempt is under way, nil if none is; guarded by the scheduler's mutex.
	attempt *runAttempt
	// trusted is until when the claim is certainly this replica's: a lease
	// from the start of the latest call that granted or renewed it. Guarded by
	// the scheduler's mutex. lapse ends ctx then.
	trusted time.Time
	lapse   *time.Timer
	// before is an earlier claim of the same run on this replica that has been
	// lost and whose handler may not have ended; nil if there is none.
	before *run
	// stuck and ended are guarded by the scheduler's mutex. Ended tells that what
	// becomes of the run is decided, if not yet written.
	stuck, ended bool
	// Jittering, begun and charged are written with the scheduler's mutex held, by
	// who drives the run alone, who reads them without. Begun tells that this replica
	// has made an attempt, charged counts the attempts that failed, those on former
	// replicas included.
	jittering, begun bool
	charged          int
	// Fenced and cutOff are for who drives the run alone: it was given back while its
	// handler went on; and the attempt after which the goroutine ends.
	fenced bool
	cutOff *runAttempt
	// freed is signalled when the overlap slot may have become free.
	freed chan struct{}
	// since is when the run's wait for its jitter and its slot began.
	since  time.Time
	report RunReport
	done   chan struct{}
}

// grant is a claim as a ledger gave it out.
type grant struct {
	claim domain.Claim
	// asked is when the call began that granted the claim.
	asked time.Time
}

// RunReport is what became of a run.
type RunReport struct {
	Run   domain.RunKey
	Event domain.Event
	// Reason says why the run was skipped, failed or cancelled; By names the
	// run or job that was in the way.
	Reason string
	By     string
	// JobID is the job that the run put on its queue.
	JobID    domain.JobID
	Attempts int
	Took     time.Duration
}

// begin drives a claimed run on a goroutine of its own.
func (s *scheduler) begin(job *jobState, g grant) *run {
	r := &run{
		job: job, claim: g.claim,
		freed:   make(chan struct{}, 1),
		done:    make(chan struct{}),
		report:  RunReport{Run: g.claim.Run},
		charged: g.claim.Attempts,
	}
	s.mu.Lock()
	r.before = s.runs[g.claim.Run]
	r.trusted = g.asked.Add(s.cfg.Timing.ClaimLease)
	r.lapse = time.AfterFunc(r.trusted.Sub(s.ports.Now()), func() { s.distrust(r) })
	if r.jittering = r.claim.Phase < domain.PhaseStarted && s.jitterLeft(r) > 0; r.jittering {
		job.jittering++
	}
	s.runs[g.claim.Run] = r
	job.driven = append(job.driven, r)
	s.mu.Unlock()
	s.driving.Add(1) // until forget
	go s.drive(r)
	return r
}

// trust lengthens the trust in a claim that was granted or renewed by a call
// that began at the given time; it is called with mu held.
func (s *scheduler) trust(r *run, asked time.Time) {
	r.trusted = asked.Add(s.cfg.Timing.ClaimLease)
	r.lapse.Reset(r.trusted.Sub(s.ports.Now()))
}

// distrust ends a run whose claim was not renewed in time.
func (s *scheduler) distrust(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if left := r.trusted.Sub(s.ports.Now()); left > 0 {
		r.lapse.Reset(left)
		return
	}
	s.interrupt(r, domain.ErrLeaseLost)
}

// keep lets a run go on under the claim that this replica took over from
// itself: the ledger thought it had lapsed. It reports false if the run had
// been given up for lost by then.
func (s *scheduler) keep(g *grant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[g.claim.Run]
	if r == nil || !r.ended && errors.Is(r.ctx.cause(), domain.ErrLeaseLost) {
		return false
	}
	r.claim.Token = g.claim.Token
	s.trust(r, g.asked)
	return true
}

// ref names the run's claim.
func (s *scheduler) ref(r *run) domain.ClaimRef {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.claim.Ref()
}

// drive takes a run from its claim to its end.
func (s *scheduler) drive(r *run) {
	defer s.depart(r)
	if s.ready(r) {
		s.attempts(r, r.charged+1)
	}
}

// ready waits until the run may begin. It reports false if the run is over.
func (s *scheduler) ready(r *run) bool {
	if s.quieting.Err() != nil {
		s.giveUp(r, domain.ErrShutdown)
		return false
	}
	if r.before != nil && !s.awaitBefore(r) {
		return false
	}
	r.since = s.ports.Now()
	if r.claim.Phase < domain.PhaseStarted && (!s.waitForJitter(r) || !s.takeSlot(r)) {
		return false
	}
	r.late = max(-s.jitterLeft(r), 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	r.begun = true
	r.job.running++
	return true
}

// awaitBefore waits until nothing is left of an earlier drive of the run:
// attempts of one run never overlap.
func (s *scheduler) awaitBefore(r *run) bool {
	select {
	case <-r.before.done:
		r.before = nil
		return true
	case <-r.ctx.Done():
		s.giveUp(r, r.ctx.cause())
	case <-s.quieting.Done():
		s.giveUp(r, domain.ErrShutdown)
	}
	return false
}

// forget takes the run out of those under way and lets the next one have its
// slot. It is the last that is done about a run, once, whatever became of it.
func (s *scheduler) forget(r *run) {
	r.lapse.Stop()
	r.ctx.cancel(nil)
	s.mu.Lock()
	s.unjitter(r)
	if r.begun {
		r.report.Took = s.ports.Now().Sub(r.since)
		r.job.running--
	}
	if s.runs[r.claim.Run] == r {
		delete(s.runs, r.claim.Run)
	}
	r.job.driven = slices.DeleteFunc(r.job.driven, func(other *run) bool { return other == r })
	for _, other := range r.job.driven {
		signal(other.freed)
	}
	s.checkDrained()
	s.mu.Unlock()
	close(r.done)
	s.driving.Done()
}

// unjitter is called with mu held when the jitter of the run has passed.
func (s *scheduler) unjitter(r *run) {
	if r.jittering {
		r.jittering = false
		r.job.jittering--
	}
}

// jitterLeft is how long a tick must still wait for its jitter; negative if
// that moment has passed.
func (s *scheduler) jitterLeft(r *run) time.Duration {
	if r.claim.Run.Origin != domain.OriginSchedule {
		return 0
	}
	planned := r.claim.Run.Planned()
	jitter := domain.Jitter(s.cfg.Namespace, r.job.Name, planned, r.job.Policy.MaxJitter)
	return planned.Add(jitter).Sub(s.clock.Now())
}

// waitForJitter waits until the jitter of a tick has passed. It reports false
// if the run was given back or lost meanwhile.
func (s *scheduler) waitForJitter(r *run) bool {
	if !r.jittering {
		return true
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unjitter(r)
	}()
	left := s.jitterLeft(r)
	if left <= 0 {
		return true
	}
	s.note(r, &domain.Record{Event: domain.EventJittered, Wait: left})
	return s.pause(r, left)
}

// pause waits for d. It reports false if the run had to give up meanwhile: a
// run that only waits can do so elsewhere when this replica stops.
func (s *scheduler) pause(r *run, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.ctx.Done():
		s.giveUp(r, r.ctx.cause())
	case <-s.quieting.Done():
		s.giveUp(r, domain.ErrShutdown)
	}
	return false
}

// takeSlot takes the overlap slot, waiting behind another run if the policy
// says so. It reports false if the run is over.
func (s *scheduler) takeSlot(r *run) bool {
	intent := domain.Intent{
		Run: r.claim.Run, Replica: s.cfg.Replica, Fingerprint: r.job.Fingerprint,
		Slot: slotFor(r.job.Policy.Overlap, r.claim.Run.Origin), Lease: s.cfg.Timing.ClaimLease,
	}
	var failing outage
	for queued := false; ; {
		var pause time.Duration
		intent.Held = s.ref(r).Token
		verdict, err := s.claims.Do(s.living, intent)
		switch {
		case err != nil:
			pause = s.slotFailed(r, &failing, err)
		case verdict.Kind == domain.Granted:
			return true
		case verdict.Kind == domain.Lost && s.ref(r).Token != intent.Held:
			continue
		case verdict.Kind == domain.Queued && !queued:
			queued = true
			s.note(r, &domain.Record{Event: domain.EventQueued, By: verdict.By.String()})
			s.preempt(intent.Slot, &verdict)
		case verdict.Kind == domain.Queued:
		default:
			s.refused(r, &verdict)
			return false
		}
		if !s.awaitSlot(r, pause) {
			return false
		}
	}
}

func (s *scheduler) slotFailed(r *run, failing *outage, err error) time.Duration {
	pause, report := failing.failed(s.ports.Now())
	if report {
		s.ports.Log.WarnContext(&r.ctx, "run not started yet", "run_id", r.claim.Run.String(), "err", err)
	}
	return pause
}

// awaitSlot waits until it is worth asking for the slot again: after the
// pause, if there is one, or when the slot may have become free.
func (s *scheduler) awaitSlot(r *run, pause time.Duration) bool {
	var over <-chan time.Time
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-r.freed:
		return true
	case <-r.ctx.Done():
		s.giveUp(r, r.ctx.cause())
	case <-s.quieting.Done():
		s.giveUp(r, domain.ErrShutdown)
	}
	return false
}
