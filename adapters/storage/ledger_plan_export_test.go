package storage

import (
	"context"
	"strings"
	"sync"
)

// Recorded is a statement that a ledger carried out on SQLite.
type Recorded struct {
	Text string
	Args []any
}

// recordingRunner keeps the statements that it carries out.
type recordingRunner struct {
	runner

	mu   sync.Mutex
	kept []Recorded
}

func (r *recordingRunner) read(ctx context.Context, statements ...statement) error {
	r.keep(statements)
	return r.runner.read(ctx, statements...)
}

func (r *recordingRunner) write(ctx context.Context, statements ...statement) error {
	r.keep(statements)
	return r.runner.write(ctx, statements...)
}

func (r *recordingRunner) keep(statements []statement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range statements {
		s := &statements[i]
		args := append([]any{}, s.args...)
		if s.set != nil {
			args = append(args, jsonRows(s.set))
		}
		r.kept = append(r.kept, Recorded{Text: s.text, Args: args})
	}
}

// Record makes the ledger keep its statements, and returns how to get them.
func (l *Ledger) Record() func() []Recorded {
	r := &recordingRunner{runner: l.runner}
	l.runner = r
	return func() []Recorded { return r.kept }
}

// lookingRunner calls do once, after a look at all open claims.
type lookingRunner struct {
	runner

	do func()
}

func (r *lookingRunner) read(ctx context.Context, statements ...statement) error {
	err := r.runner.read(ctx, statements...)
	if do := r.do; do != nil && strings.Contains(statements[0].text, "min(c.deadline_us)") {
		r.do = nil
		do()
	}
	return err
}

// AfterNextLook has do called when the next look at all open claims was answered.
func (l *Ledger) AfterNextLook(do func()) { l.runner = &lookingRunner{runner: l.runner, do: do} }
