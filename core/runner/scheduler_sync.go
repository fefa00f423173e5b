package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/schedule"
)

// Register registers the jobs and plans them. It waits for the ledger until
// ctx ends.
func (s *scheduler) Register(ctx context.Context) error {
	var failing outage
	for {
		err := s.sync(ctx)
		if err == nil {
			return nil
		}
		pause, report := failing.failed(s.ports.Now())
		if report {
			s.ports.Log.WarnContext(ctx, "ledger not reachable yet", "err", err)
		}
		if !wait(ctx, pause) {
			return fmt.Errorf("register scheduled jobs: %w", err)
		}
	}
}

// syncLoop asks the ledger for news until ctx ends.
func (s *scheduler) syncLoop(ctx context.Context) {
	beat := time.NewTicker(s.cfg.Timing.Sync)
	defer beat.Stop()
	var failing, renewing outage
	s.takeOver()
	// After an outage or a step of the store's clock, claims of this replica
	// may have lapsed: it renews them before it looks for those of others.
	lapsed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		asked := s.ports.Now()
		err := s.sync(ctx)
		away := s.ports.Now().Sub(asked)
		s.pokeWaiting()
		s.claiming.await(ctx)
		chosen := preemptible
		if lapsed = lapsed || err != nil || away+s.takeStep() >= s.cfg.Timing.ClaimLease/renewalsPerLease; lapsed {
			chosen = everyRun
		}
		renewed := s.renew(ctx, chosen, &renewing)
		if err == nil {
			failing.over()
			if lapsed = !renewed; renewed {
				s.takeOver()
			}
			continue
		}
		if _, report := failing.failed(s.ports.Now()); report && ctx.Err() == nil {
			s.ports.Log.WarnContext(ctx, "ledger not reachable", "err", err)
		}
	}
}

// sync exchanges news with the ledger, and notes by how much the store's time
// was stepped.
func (s *scheduler) sync(ctx context.Context) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	request := domain.SyncRequest{Replica: s.cfg.Replica, Definitions: s.definitions(), Since: s.seen()}
	asked := s.ports.Now()
	reply, err := s.ports.Ledger.Sync(ctx, request)
	if err != nil {
		return err
	}
	step := s.clock.Sample(reply.Now, asked, s.ports.Now())
	s.apply(reply, step)
	s.tellRevisions()
	if step.Abs() >= stepReported {
		s.ports.Log.WarnContext(ctx, "the store's clock was stepped: ticks already decided are not repeated, missed ones follow their misfire policy",
			"step_ms", step.Milliseconds())
	}
	return nil
}

// takeStep returns by how much the store's time was stepped since the last call.
func (s *scheduler) takeStep() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	step := s.stepped
	s.stepped = 0
	return step
}

// definitions returns the jobs that this replica runs. One that is disabled
// here is left to others: it must not supersede their definitions, and
// nobody may wait for this replica to take over its runs.
func (s *scheduler) definitions() []domain.Definition {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.registered == nil {
		s.registered = make([]domain.Definition, 0, len(s.names))
		for _, name := range s.names {
			if job := s.jobs[name]; !job.Disabled {
				s.registered = append(s.registered, domain.Definition{Job: name, Fingerprint: job.Fingerprint})
			}
		}
	}
	return s.registered
}

func (s *scheduler) seen() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// apply takes in the ledger's state of the jobs, and the step of its time.
func (s *scheduler) apply(reply domain.SyncReply, step time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stepped += step
	s.version = reply.Version
	s.lastSync = s.ports.Now()
	if s.scope == "" {
		s.scope = reply.Scope
	}
	moved := !slices.Equal(s.replicas, reply.Replicas)
	s.replicas = slices.Clone(reply.Replicas)
	if !s.loaded {
		s.loaded = true
		s.load(reply.Jobs)
		return
	}
	if moved {
		s.rebalance()
	}
	for _, state := range reply.Jobs {
		s.update(state)
	}
	s.arm()
}

// load plans all jobs for the first time.
func (s *scheduler) load(states []domain.JobState) {
	var mine, others []schedule.Planned
	s.due.mine, s.due.others = make([]schedule.Due, 0, len(states)), make([]schedule.Due, 0, len(states))
	for _, state := range states {
		job := s.jobs[state.Job]
		if job == nil {
			continue
		}
		job.state = state
		if state.Paused {
			s.recordPause(job)
		}
		if !job.planned() {
			continue
		}
		planned := schedule.Planned{ID: job.Name, Schedule: job.Schedule, Cursor: state.Cursor}
		if s.prefers(job.Name) {
			mine = append(mine, planned)
		} else {
			others = append(others, planned)
		}
	}
	s.mine.Load(mine)
	s.others.Load(others)
}

func (j *jobState) planned() bool {
	return j.Schedule != nil && !j.Disabled && !j.state.Superseded
}

func (s *scheduler) prefers(job string) bool {
	return preferred(job, s.cfg.Replica, s.replicas) == s.cfg.Replica
}

func (s *scheduler) plannerOf(job string) *schedule.Planner {
	if s.prefers(job) {
		return &s.mine
	}
	return &s.others
}

// update takes in the state of one job.
func (s *scheduler) update(state domain.JobState) {
	job := s.jobs[state.Job]
	if job == nil {
		return
	}
	was, before := job.planned(), job.state
	job.state = state
	if state.Superseded != before.Superseded {
		s.revise(job)
		s.untold = append(s.untold, job)
	}
	if state.Paused != before.Paused {
		s.recordPause(job)
	}
	planner := s.plannerOf(job.Name)
	switch now := job.planned(); {
	case was && !now:
		planner.Remove(job.Name)
	case now && !was:
		planner.Set(schedule.Planned{ID: job.Name, Schedule: job.Schedule, Cursor: state.Cursor})
	case now:
		planner.SetCursor(job.Name, state.Cursor)
	}
}

// rebalance moves jobs between the planners after the fleet has changed.
func (s *scheduler) rebalance() {
	for name, job := range s.jobs {
		to := s.plannerOf(name)
		from := &s.mine
		if to == from {
			from = &s.others
		}
		cursor, ok := from.Cursor(name)
		if !ok {
			continue
		}
		from.Remove(name)
		to.Set(schedule.Planned{ID: name, Schedule: job.Schedule, Cursor: cursor})
	}
}

// keepLoop renews claims until ctx ends.
func (s *scheduler) keepLoop(ctx context.Context) {
	beat := time.NewTicker(s.cfg.Timing.ClaimLease / renewalsPerLease)
	defer beat.Stop()
	var failing outage
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		s.renew(ctx, everyRun, &failing)
	}
}

func everyRun(*run) bool { return true }

// preemptible runs are renewed more often, for a renewal is also how they
// learn that they must give way.
func preemptible(r *run) bool {
	return r.job.Policy.Overlap == domain.OverlapCancelPrevious
}

// renew renews the claims of the chosen runs and ends the runs whose claim is
// lost. It reports whether the ledger answered.
func (s *scheduler) renew(ctx context.Context, chosen func(*run) bool, failing *outage) bool {
	runs, refs := s.underWay(chosen)
	if len(runs) == 0 {
		return true
	}
	lease := s.cfg.Timing.ClaimLease
	call, cancel := context.WithTimeout(ctx, lease/renewalsPerLease)
	defer cancel()
	asked := s.ports.Now()
	renewals, err := s.ports.Ledger.Renew(call, refs, lease)
	if err != nil {
		if _, report := failing.failed(s.ports.Now()); report && ctx.Err() == nil && !errors.Is(err, ports.ErrClosed) {
			s.ports.Log.WarnContext(ctx, "claims not renewed", "count", len(refs), "err", err)
		}
		return false
	}
	failing.over()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range runs {
		s.renewed(r, refs[i], renewals[i], asked)
	}
	return true
}

// renewed takes in the answer about one run; it is called with mu held.
func (s *scheduler) renewed(r *run, ref domain.ClaimRef, renewal domain.Renewal, asked time.Time) {
	switch {
	case s.runs[ref.Run] != r:
		return
	case renewal == domain.RenewalLost:
		if r.claim.Ref() == ref {
			s.interrupt(r, domain.ErrLeaseLost)
		}
		return
	case renewal == domain.RenewalCancel:
		s.interrupt(r, domain.ErrPreempted)
	}
	s.trust(r, asked)
}

func (s *scheduler) underWay(chosen func(*run) bool) (runs []*run, refs []domain.ClaimRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if chosen(r) {
			runs, refs = append(runs, r), append(refs, r.claim.Ref())
		}
	}
	return runs, refs
}

// pokeWaiting lets the runs that wait for their slot ask again.
func (s *scheduler) pokeWaiting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		signal(r.freed)
	}
}

// takeOver drives the runs of replicas that died or gave them back.
func (s *scheduler) takeOver() {
	if !s.enter() {
		return
	}
	defer s.leave()
	asked := s.ports.Now()
	claims, err := s.ports.Ledger.Abandoned(s.living, s.cfg.Replica, s.cfg.Timing.ClaimLease, claimBatch)
	if err != nil {
		if s.living.Err() == nil && !errors.Is(err, ports.ErrClosed) {
			s.ports.Log.WarnContext(s.living, "abandoned runs not looked for", "err", err)
		}
		return
	}
	for _, claim := range claims {
		s.adopt(grant{claim: claim, asked: asked})
	}
}

// adopt goes on with a run that was taken over.
func (s *scheduler) adopt(g grant) {
	if s.keep(&g) {
		return
	}
	job := s.jobs[g.claim.Run.Job]
	record := domain.Record{Event: domain.EventAbandoned, Run: g.claim.Run, Count: g.claim.Crashes, Reason: "its replica let the claim run out"}
	if g.claim.Phase >= domain.PhaseStarted && g.claim.Crashes == 0 {
		record.Reason = "its replica gave it back"
	}
	switch decideAbandoned(&job.ScheduledJob, g.claim, s.clock.Now()) {
	case driveAgain:
		s.journal.Record(record)
		s.begin(job, g)
		return
	case recordLost:
		record.Event, record.Reason = domain.EventLost, "its worker died under the handler; policy: lost"
	case recordUnknown:
		record.Event, record.Reason = domain.EventLost, "its claim is older than receipts are kept: whether its job was enqueued is unknown"
	case quarantine:
		record.Event, record.Reason = domain.EventQuarantined, "its handler took too many workers down"
	}
	s.journal.Record(record)
	s.noteLast(job, []domain.Record{record})
	if _, err := s.finishes.Do(s.living, domain.RunResult{Claim: g.claim.Ref(), End: domain.EndFinished}); err != nil {
		s.ports.Log.WarnContext(s.living, "abandoned run not ended", "run_id", g.claim.Run.String(), "err", err)
	}
}
