package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// Finish implements [ports.Ledger].
func (l *Ledger) Finish(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	held := make([]bool, 0, len(results))
	for len(results) > 0 {
		part := results[:distinct(results)]
		results = results[len(part):]
		answered, err := l.finishPart(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("finish runs: %w", err)
		}
		held = append(held, answered...)
	}
	return held, nil
}

// distinct returns how many of the results one call may carry: none is about a
// claim that an earlier one ended.
func distinct(results []domain.RunResult) int {
	results = results[:min(len(results), ledgerBatch)]
	seen := make(map[domain.ClaimToken]struct{}, len(results))
	for i := range results {
		token := results[i].Claim.Token
		if _, twice := seen[token]; twice {
			return i
		}
		seen[token] = struct{}{}
	}
	return len(results)
}

func (l *Ledger) finishPart(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	var finished map[domain.ClaimToken]bool
	begun := true
	released := releasedJobs(results)
	err := l.repeatable(ctx, func() []statement {
		finished = make(map[domain.ClaimToken]bool, len(results))
		var statements []statement
		if len(released) > 0 {
			// Whoever decides on such a claim just now must look again.
			stamp := l.lookup([]any{released}, l.sql.stampJobs, newStamp())
			statements = append(statements, l.numbers(0, false, nil), stamp)
		}
		return append(statements, l.finish(results, finished))
	})
	if err != nil {
		return nil, err
	}
	err = l.untilKnown(ctx, &begun, func() error { return l.finishAgain(ctx, results, finished) })
	if err != nil {
		return nil, err
	}
	l.known.ended(results, finished)
	held := make([]bool, len(results))
	for i := range results {
		held[i] = finished[results[i].Claim.Token]
	}
	l.countEnded(results)
	return held, l.forgetSome(ctx)
}

func releasedJobs(results []domain.RunResult) []string {
	var jobs []string
	for i := range results {
		if results[i].End == domain.EndReleased {
			jobs = append(jobs, results[i].Claim.Run.Job)
		}
	}
	slices.Sort(jobs)
	return slices.Compact(jobs)
}

func (l *Ledger) finish(results []domain.RunResult, finished map[domain.ClaimToken]bool) statement {
	sorted := make([]*domain.RunResult, len(results))
	for i := range results {
		sorted[i] = &results[i]
	}
	slices.SortFunc(sorted, func(a, b *domain.RunResult) int { return cmp.Compare(a.Claim.Token, b.Claim.Token) })
	n := len(sorted)
	tokens, runs, phases, attempts := make([]int64, n), make([]string, n), make([]int64, n), make([]int64, n)
	for i, result := range sorted {
		tokens[i], runs[i] = numberOf(result.Claim.Token), result.Claim.Run.Encode()
		phases[i], attempts[i] = int64(phaseOf(result.End)), int64(result.Attempts)
	}
	s := l.lookup([]any{tokens, runs, phases, attempts}, l.sql.finish)
	s.row = func(scan scanner) error {
		var token int64
		err := scan(&token)
		finished[tokenOf(token)] = true
		return err
	}
	return s
}

// phaseOf returns the phase that a run is in after its end; zero is none.
func phaseOf(end domain.RunEnd) domain.Phase {
	switch end {
	case domain.EndFired:
		return domain.PhaseFired
	case domain.EndFinished:
		return domain.PhaseFinished
	case domain.EndReleased:
	}
	return 0
}

// finishAgain looks at the claims that were not held: those that have ended
// under the same token are, and those that were released, if they are to be.
func (l *Ledger) finishAgain(ctx context.Context, results []domain.RunResult, finished map[domain.ClaimToken]bool) error {
	rest := make(map[domain.ClaimToken]*domain.RunResult)
	var tokens []int64
	for i := range results {
		if token := results[i].Claim.Token; !finished[token] {
			rest[token] = &results[i]
			tokens = append(tokens, numberOf(token))
		}
	}
	if len(tokens) == 0 {
		return nil
	}
	s := l.lookup([]any{tokens}, l.sql.ended)
	s.row = func(scan scanner) error {
		var number int64
		var run string
		var ended bool
		if err := scan(&number, &run, &ended); err != nil {
			return err
		}
		result := rest[tokenOf(number)]
		finished[tokenOf(number)] = run == result.Claim.Run.Encode() && (ended || result.End == domain.EndReleased)
		return nil
	}
	return l.runner.read(ctx, s)
}
