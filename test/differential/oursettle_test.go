package differential_test

import (
	"context"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// taken is what fetch and settle answer.
type taken struct {
	Statuses []string  `json:"statuses,omitempty"`
	Jobs     []jobView `json:"jobs"`
}

// jobView is what a handler sees of a job.
type jobView struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Data    string `json:"data"`
	Made    int    `json:"made"`
	Started int    `json:"started"`
	Crashes int    `json:"crashes"`
	Refused string `json:"refused,omitempty"`
}

// settle ends jobs and takes others.
func (o *ourSide) settle(ctx context.Context, s *step) (any, error) {
	settlements := make([]domain.Settlement, len(s.Endings))
	for i := range s.Endings {
		key := slotKey{s.Queue, s.Endings[i].Slot}
		lease := o.held[key]
		delete(o.held, key)
		settlements[i] = domain.Settlement{Lease: lease.Ref(), Outcome: s.Endings[i].outcome(&lease.Job)}
	}
	answer := taken{}
	jobs, err := o.take(ctx, s, func(statuses []domain.SettleStatus) {
		for _, status := range statuses {
			answer.Statuses = append(answer.Statuses, statusText(status == domain.Settled))
		}
	}, settlements...)
	answer.Jobs = jobs
	return answer, err
}

// take settles and fills the slots of the step. Refused jobs are failed, as
// the runner does it.
func (o *ourSide) take(ctx context.Context, s *step, tell func([]domain.SettleStatus), settlements ...domain.Settlement) ([]jobView, error) {
	reply, err := o.consumers[s.Queue].Settle(ctx, settlements, len(s.Next))
	if err != nil {
		return nil, err
	}
	if tell != nil {
		tell(reply.Statuses)
	}
	jobs := []jobView{}
	var refused []domain.Lease
	for i := range reply.Leases {
		lease := &reply.Leases[i]
		jobs = append(jobs, jobView{
			ID: string(lease.Job.ID), Name: lease.Job.Name, Data: string(lease.Job.Data), Refused: lease.Refused,
			Made: lease.Job.AttemptsMade, Started: lease.Job.AttemptsStarted, Crashes: lease.Job.Crashes,
		})
		if lease.Refused != "" {
			refused = append(refused, *lease)
			continue
		}
		o.held[slotKey{s.Queue, s.Next[i]}] = *lease
	}
	for i := range refused {
		tick(time.Now().UnixMilli())
		failed := domain.Settlement{Lease: refused[i].Ref(), Outcome: domain.Outcome{Kind: domain.Failed, Reason: refused[i].Refused}}
		if _, err := o.consumers[s.Queue].Settle(ctx, []domain.Settlement{failed}, 0); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// outcome returns what the runner makes of the ending of an attempt.
func (e *ending) outcome(job *domain.Job) domain.Outcome {
	switch e.Kind {
	case "complete":
		return domain.Outcome{Kind: domain.Completed, Result: e.Value}
	case "fail", "unrecoverable":
		outcome := domain.Outcome{Kind: domain.Failed, Reason: e.Reason, Stack: "    at here"}
		if e.Kind == "fail" && job.AttemptsLeft() > 0 {
			outcome.Kind = domain.Retry
			outcome.After = job.Options.Backoff.After(job.AttemptsMade+1, 0)
		}
		return outcome
	case "snooze":
		return domain.Outcome{Kind: domain.Snoozed, After: millis(e.MS)}
	case "limit":
		return domain.Outcome{Kind: domain.RateLimited, After: millis(e.MS)}
	case "children":
		return domain.Outcome{Kind: domain.WaitingForChildren}
	}
	return domain.Outcome{Kind: domain.Returned}
}
