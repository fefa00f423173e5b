package runner

import (
	"context"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

// claimLoop asks the ledger for the ticks that are due, until ctx ends.
func (s *scheduler) claimLoop(ctx context.Context) {
	var failing outage
	var due dueTicks
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.planned:
		}
		if !s.enter() {
			return
		}
		due = s.takeDue(due)
		left, err := s.claimAll(ctx, due)
		s.leave()
		if err != nil {
			pause, report := failing.failed(s.ports.Now())
			if report && ctx.Err() == nil {
				s.ports.Log.WarnContext(ctx, "ticks not claimed: they stay due", "count", len(left), "err", err)
			}
			wait(ctx, pause)
			s.planAgain(left)
			continue
		}
		failing.over()
	}
}

// claimAll asks for the ticks of this replica's jobs first, and returns those
// jobs that are left when the ledger does not answer. What else is to be written
// waits until the other replicas, too, should have claimed theirs.
func (s *scheduler) claimAll(ctx context.Context, due dueTicks) (left []schedule.Due, err error) {
	if len(due.mine)+len(due.others) > claimBatch {
		openAfter := s.claiming.shut(claimPatience)
		defer func() { openAfter(s.othersClaimFor()) }()
	}
	if left, err = s.claimDue(due.mine); err != nil {
		return append(left, due.others...), err
	}
	s.noteLate(due)
	return s.claimOthers(ctx, due.others)
}

// claimDue asks for the ticks of the jobs, some jobs at a time so that the
// plans of very many do not pile up, and returns the jobs that are left when
// the ledger does not answer.
func (s *scheduler) claimDue(due []schedule.Due) (left []schedule.Due, err error) {
	for len(due) > 0 {
		next := due[:min(len(due), claimBatch)]
		if err := s.claim(s.plan(next)); err != nil {
			return due, err
		}
		due = due[len(next):]
	}
	return nil, nil
}

// dueTicks are ticks that are due: those of the jobs that this replica is
// preferred for, and those of others.
type dueTicks struct {
	mine, others []schedule.Due
	// since is when the first of mine were found.
	since time.Time
}

// takeDue takes what is due and leaves the lists that were taken before to be
// filled again: with very many jobs their growth would be what a wake costs.
func (s *scheduler) takeDue(before dueTicks) dueTicks {
	clear(before.mine)
	clear(before.others)
	s.mu.Lock()
	defer s.mu.Unlock()
	due := s.due
	s.due = dueTicks{mine: before.mine[:0], others: before.others[:0]}
	return due
}

// plan decides about the ticks that are due.
func (s *scheduler) plan(due []schedule.Due) []plannedIntent {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	plans := make([]plannedIntent, 0, len(due))
	// A job can be due twice, if the claims before took long.
	var jittered map[string]bool
	for _, d := range due {
		job := s.jobs[d.ID]
		planned := planDue(planRequest{
			namespace: s.cfg.Namespace, replica: s.cfg.Replica, job: &job.ScheduledJob, due: d,
			now: now, lease: s.cfg.Timing.ClaimLease, jitterPending: job.jittering > 0 || jittered[d.ID],
		})
		if slices.ContainsFunc(planned, plannedIntent.jittered) {
			if jittered == nil {
				jittered = map[string]bool{}
			}
			jittered[d.ID] = true
		}
		plans = append(plans, planned...)
	}
	return plans
}

// claim asks for the runs and begins those that are granted.
func (s *scheduler) claim(plans []plannedIntent) error {
	for len(plans) > 0 {
		batch := plans[:min(len(plans), claimBatch)]
		plans = plans[len(batch):]
		intents := make([]domain.Intent, len(batch))
		for i := range batch {
			intents[i] = batch[i].intent
		}
		asked := s.ports.Now()
		verdicts, err := s.ports.Ledger.Claim(s.living, intents)
		if err != nil {
			return err
		}
		for i := range verdicts {
			s.obey(&batch[i], &verdicts[i], asked)
		}
		s.tellRevisions()
	}
	return nil
}

// obey does what the ledger said about a tick.
func (s *scheduler) obey(plan *plannedIntent, verdict *domain.Verdict, asked time.Time) {
	job := s.jobs[plan.intent.Run.Job]
	switch verdict.Kind {
	case domain.Taken, domain.Lost:
		s.follow(job, plan.intent.Move.From, verdict.Cursor)
		return
	case domain.Superseded:
		s.supersede(job)
		return
	case domain.Granted, domain.Moved, domain.Blocked, domain.Queued, domain.Paused:
	}
	s.journal.Record(plan.passed...)
	s.noteLast(job, plan.passed)
	switch verdict.Kind {
	case domain.Granted, domain.Queued:
		s.journal.Record(domain.Record{Event: domain.EventClaimed, Run: plan.intent.Run, Late: plan.late})
		s.preempt(plan.intent.Slot, verdict)
		s.begin(job, grant{claim: verdict.Claim, asked: asked})
	case domain.Blocked:
		s.skip(job, plan.intent.Run, domain.ReasonOverlap, verdict)
	case domain.Paused:
		s.skip(job, plan.intent.Run, domain.ReasonPaused, verdict)
	case domain.Moved, domain.Taken, domain.Superseded, domain.Lost:
	}
}

// skip records a run that the ledger ended before it began.
func (s *scheduler) skip(job *jobState, key domain.RunKey, reason string, verdict *domain.Verdict) {
	record := domain.Record{Event: domain.EventSkipped, Run: key, Reason: reason}
	if verdict.By != (domain.RunKey{}) {
		record.By = verdict.By.String()
	}
	s.journal.Record(record)
	s.noteLast(job, []domain.Record{record})
}

// preempt ends the run that a newer one of this replica waits for. Other
// replicas learn it by their renewals.
func (s *scheduler) preempt(asked domain.Slot, verdict *domain.Verdict) {
	if verdict.Kind != domain.Queued || asked != domain.SlotPreempt {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if holder := s.runs[verdict.By]; holder != nil {
		s.interrupt(holder, domain.ErrPreempted)
	}
}

// follow takes over the cursor that another replica moved. A cursor that lies
// before the one this replica started from was rewound: the store lost
// writes, and the ticks since are decided again.
func (s *scheduler) follow(job *jobState, from, cursor time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !job.planned() {
		return
	}
	if cursor.Before(from) {
		s.ports.Log.WarnContext(s.quieting, "the ledger's cursor went back: it has lost writes, ticks since may run again",
			"job", job.Name, "from", from, "cursor", cursor)
	}
	s.plannerOf(job.Name).Set(schedule.Planned{ID: job.Name, Schedule: job.Schedule, Cursor: cursor})
	s.arm()
}

func (s *scheduler) supersede(job *jobState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := job.state
	state.Superseded = true
	s.update(state)
}

// planAgain makes ticks due again whose claims had no answer. The oldest
// cursor of a job counts; ticks that come due meanwhile join in.
func (s *scheduler) planAgain(due []schedule.Due) {
	s.mu.Lock()
	defer s.mu.Unlock()
	again := slices.Concat(due, s.due.mine, s.due.others)
	s.due = dueTicks{}
	for _, d := range slices.Backward(again) {
		if s.jobs[d.ID].planned() {
			s.plannerOf(d.ID).Set(schedule.Planned{ID: d.ID, Schedule: d.Schedule, Cursor: d.Cursor})
		}
	}
	s.arm()
}

// noteLast keeps the latest of the decisions about a job for its listing.
func (s *scheduler) noteLast(job *jobState, records []domain.Record) {
	if len(records) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	job.note(&records[len(records)-1], s.clock.Now())
}
