package app

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// TriggerRequest asks for a run of a scheduled job.
type TriggerRequest struct {
	Name string `json:"name"`
}

// BackfillRequest asks for a run of a past tick.
type BackfillRequest struct {
	Name string `json:"name"`
	// ID names the backfill.
	ID      string    `json:"id"`
	Planned time.Time `json:"planned"`
}

// TriggerReply is what became of a run that was asked for.
type TriggerReply struct {
	RunID      string  `json:"runId"`
	Outcome    string  `json:"outcome"`
	Reason     string  `json:"reason,omitempty"`
	By         string  `json:"by,omitempty"`
	JobID      string  `json:"jobId,omitempty"`
	Attempts   int     `json:"attempts"`
	DurationMS float64 `json:"durationMs"`
}

// SwitchRequest pauses or resumes a scheduled job.
type SwitchRequest struct {
	Name string `json:"name"`
}

// SwitchReply tells the state that the ledger has taken in.
type SwitchReply struct {
	Name   string `json:"name"`
	Paused bool   `json:"paused"`
}

func (c *controlAPI) trigger(ctx context.Context, params json.RawMessage) (any, error) {
	var request TriggerRequest
	if err := control.DecodeParams(params, &request); err != nil {
		return nil, err
	}
	return replyOf(c.service.TriggerNow(ctx, request.Name))
}

func (c *controlAPI) backfill(ctx context.Context, params json.RawMessage) (any, error) {
	var request BackfillRequest
	if err := control.DecodeParams(params, &request); err != nil {
		return nil, err
	}
	return replyOf(c.service.Backfill(ctx, request.Name, request.ID, request.Planned))
}

func replyOf(report RunReport, err error) (any, error) {
	if err != nil {
		return nil, withJobCode(err)
	}
	return TriggerReply{
		RunID: report.Run.String(), Outcome: string(report.Event), Reason: report.Reason, By: report.By,
		JobID: string(report.JobID), Attempts: report.Attempts, DurationMS: float64(report.Took.Microseconds()) / 1000,
	}, nil
}

func (c *controlAPI) pause(ctx context.Context, params json.RawMessage) (any, error) {
	return switchJob(ctx, params, true, c.service.PauseJob)
}

func (c *controlAPI) resume(ctx context.Context, params json.RawMessage) (any, error) {
	return switchJob(ctx, params, false, c.service.ResumeJob)
}

func switchJob(ctx context.Context, params json.RawMessage, paused bool, do func(context.Context, string) error) (any, error) {
	var request SwitchRequest
	if err := control.DecodeParams(params, &request); err != nil {
		return nil, err
	}
	if err := do(ctx, request.Name); err != nil {
		return nil, withJobCode(err)
	}
	return SwitchReply{Name: request.Name, Paused: paused}, nil
}

// withJobCode gives the errors about scheduled jobs their codes.
func withJobCode(err error) error {
	switch {
	case errors.Is(err, runner.ErrUnknownJob), errors.Is(err, runner.ErrDisabled), errors.Is(err, domain.ErrInvalid):
		return control.WithCode(control.CodeBadData, err)
	case errors.Is(err, runner.ErrStopping), errors.Is(err, ErrNotStarted), errors.Is(err, ports.ErrUnavailable):
		return control.WithCode(control.CodeUnavailable, err)
	}
	return err
}
