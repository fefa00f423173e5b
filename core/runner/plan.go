package runner

import (
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

// plannedIntent is an intent together with the decisions about ticks that its
// cursor move carries out. They are recorded if the ledger agrees.
type plannedIntent struct {
	intent domain.Intent
	// passed are the decisions about ticks that do not run.
	passed []domain.Record
	late   time.Duration
}

// jittered reports whether the run waits for its jitter before it starts.
func (p plannedIntent) jittered() bool {
	return !p.intent.MoveOnly && p.intent.Slot == domain.SlotLater
}

// planRequest is what planDue decides about.
type planRequest struct {
	namespace string
	replica   string
	job       *ScheduledJob
	due       schedule.Due
	now       time.Time
	lease     time.Duration
	// jitterPending tells that a run of the job still waits for its jitter:
	// there is at most one.
	jitterPending bool
}

// planDue turns the ticks that are due into a chain of cursor moves: one for
// each tick that runs, which also decides all ticks before it, and one for
// the ticks that remain at the end.
func planDue(r planRequest) []plannedIntent {
	var plans []plannedIntent
	from := r.due.Cursor
	var passed []domain.Record
	for _, d := range r.job.Misfire.Decide(nil, r.due, r.now) {
		runs := d.Verdict == schedule.Fired
		if runs && r.jitterPending {
			d.Verdict, d.Reason, runs = schedule.Skipped, domain.ReasonJitter, false
		}
		if !runs {
			passed = append(passed, recordPassed(r.job.Name, d))
			continue
		}
		intent := r.intent(from, d.Last)
		jitter := domain.Jitter(r.namespace, r.job.Name, d.Last, r.job.Policy.MaxJitter)
		if d.Last.Add(jitter).After(r.now) {
			r.jitterPending = true
		} else {
			intent.Slot = slotFor(r.job.Policy.Overlap, domain.OriginSchedule)
		}
		plans = append(plans, plannedIntent{intent: intent, passed: passed, late: max(d.Late, 0)})
		from, passed = d.Last, nil
	}
	if len(passed) > 0 {
		intent := r.intent(from, r.due.Latest)
		intent.MoveOnly = true
		plans = append(plans, plannedIntent{intent: intent, passed: passed})
	}
	return plans
}

func (r *planRequest) intent(from, to time.Time) domain.Intent {
	return domain.Intent{
		Run: domain.TickKey(r.job.Name, to), Replica: r.replica, Fingerprint: r.job.Fingerprint,
		Move: &domain.CursorMove{From: from, To: to}, Lease: r.lease,
	}
}

// recordPassed describes ticks that do not run.
func recordPassed(job string, d schedule.Decision) domain.Record {
	record := domain.Record{
		Event: domain.EventSkipped, Run: domain.TickKey(job, d.First), Reason: string(d.Reason),
		Late: max(d.Late, 0), Until: d.Last, Count: int(d.Count),
	}
	if d.Verdict == schedule.Coalesced {
		record.Event = domain.EventCoalesced
		record.By = domain.TickKey(job, d.Into).String()
	}
	return record
}

// preferred returns the replica that should claim the job's ticks first: the
// one with the highest hash of job and replica (rendezvous hashing). Each
// replica prefers itself if it knows of no other.
func preferred(job, self string, replicas []string) string {
	best, most := self, domain.Hash(job, self)
	for _, replica := range replicas {
		if weight := domain.Hash(job, replica); weight > most || weight == most && replica < best {
			best, most = replica, weight
		}
	}
	return best
}
