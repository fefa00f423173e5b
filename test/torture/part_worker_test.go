package torture_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// jobName is the name of all jobs of the torture.
const jobName = "work"

// health is what a worker answers to the question.
type health struct {
	// Away is for how long Redis has not answered; zero if it does.
	Away time.Duration
	// Reason is what the backend names for it.
	Reason string
	State  runner.State
	Active int
}

// stopBudget is that of a worker told to stop.
func stopBudget() runner.StopBudget {
	return runner.StopBudget{Drain: 10 * time.Second, Cancel: time.Second, Release: 3 * time.Second}
}

// work works the queue, and ticks if it is to, until standard input says stop
// or ends.
func (p *part) work() error {
	effects, err := os.OpenFile(p.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer effects.Close() //nolint:errcheck // each line is written at once
	backend, err := p.backend()
	if err != nil {
		return err
	}
	defer backend.Close() //nolint:errcheck // the process ends
	ledger, closeLedger, err := p.ledger(backend)
	if err != nil {
		return err
	}
	defer closeLedger() //nolint:errcheck // the process ends
	snare := &trap{step: p.TrapStep, left: p.TrapAfter}
	jobs, err := p.scheduled(snare)
	if err != nil {
		return err
	}
	r, err := runner.New(
		runner.Config{Replica: p.Name, Timing: runner.Timing{JobLease: leaseTime, Recover: stalledTime, ClaimLease: claimTime}},
		p.ports(backend, ledger, snare), jobs,
		[]runner.Queue{{Name: queueName, Concurrency: p.Concurrency, Routes: map[string]runner.Route{
			jobName: {Handler: laborer{effects: effects, trap: snare}},
		}}},
	)
	if err != nil {
		return err
	}
	if err := r.Start(context.Background()); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go desk{dir: filepath.Dir(p.File)}.watchSelf(ctx, os.Getpid())
	answerQuestions(r, backend)
	if report := r.Stop(context.Background(), stopBudget()); report.Jobs > 0 {
		return fmt.Errorf("stopped with %d jobs under way", report.Jobs)
	}
	return nil
}

// answerQuestions answers what comes on standard input until it says stop.
func answerQuestions(r *runner.Runner, backend *redisqueue.Backend) {
	questions := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for questions.Scan() && questions.Text() == "health" {
		state := r.Health()
		answer := health{State: state.State, Active: state.Queues[0].Active}
		if since, reason := backend.Health(); !since.IsZero() {
			answer.Away, answer.Reason = max(time.Since(since), 1), fmt.Sprint(reason)
		}
		if answers.Encode(answer) != nil {
			return
		}
	}
}

// laborer is the handler: it notes that it begins, takes its time, and notes
// that it ends.
type laborer struct {
	effects *os.File
	trap    *trap
}

// Handle implements ports.Handler.
func (l laborer) Handle(ctx context.Context, job *domain.Job) ([]byte, error) {
	var w work
	if err := json.Unmarshal(job.Data, &w); err != nil {
		return nil, err
	}
	seen := effect{Mark: began, PID: os.Getpid(), ID: string(job.ID), Key: w.Key, Started: job.AttemptsStarted, At: instant()}
	if err := l.note(seen); err != nil {
		return nil, err
	}
	l.trap.at("handler begins")
	lasts := w.Lasts
	if w.Again > 0 && seen.Started > 1 {
		lasts = w.Again
	}
	timer := time.NewTimer(lasts)
	defer timer.Stop()
	select {
	case <-timer.C:
		seen.Mark = ended
	case <-ctx.Done():
		seen.Mark = cancelled
	}
	seen.At = instant()
	if err := l.note(seen); err != nil {
		return nil, err
	}
	l.trap.at("handler ends")
	if seen.Mark == cancelled {
		return nil, context.Cause(ctx)
	}
	return json.Marshal(map[string]int{"pid": seen.PID, "started": seen.Started})
}

// note writes the line in one call: lines of many processes do not mix.
func (l laborer) note(e effect) error {
	_, err := l.effects.WriteString(e.line())
	return err
}
