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
	finished := make(map[domain.ClaimToken]bool, len(results))
	ticks, others := divideEnds(results)
	if err := l.finishAlike(ctx, ticks, finished, l.endTicks); err != nil {
		return nil, err
	}
	if err := l.finishAlike(ctx, others, finished, l.finishOthers); err != nil {
		return nil, err
	}
	begun := true
	err := l.untilKnown(ctx, &begun, func() error { return l.finishAgain(ctx, results, finished) })
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

// divideEnds returns the ends of ticks, and all else, in the order of their tokens:
// all lock claims in it, so that two calls do not wait for each other.
func divideEnds(results []domain.RunResult) (ticks, others []*domain.RunResult) {
	for i := range results {
		if r := &results[i]; r.Claim.Run.Origin == domain.OriginSchedule && r.End != domain.EndReleased {
			ticks = append(ticks, r)
		} else {
			others = append(others, r)
		}
	}
	byToken := func(a, b *domain.RunResult) int { return cmp.Compare(a.Claim.Token, b.Claim.Token) }
	slices.SortFunc(ticks, byToken)
	slices.SortFunc(others, byToken)
	return ticks, others
}

// finishAlike writes results with the statements that are made for them, and takes
// note of those that were the owner's to write.
func (l *Ledger) finishAlike(ctx context.Context, results []*domain.RunResult, finished map[domain.ClaimToken]bool,
	statements func([]*domain.RunResult, func(scanner) error) []statement,
) error {
	if len(results) == 0 {
		return nil
	}
	return l.repeatable(ctx, func() []statement {
		for _, result := range results {
			delete(finished, result.Claim.Token)
		}
		return statements(results, func(scan scanner) error {
			var token int64
			err := scan(&token)
			finished[tokenOf(token)] = true
			return err
		})
	})
}

func (l *Ledger) endTicks(results []*domain.RunResult, row func(scanner) error) []statement {
	tokens, runs := make([]int64, len(results)), make([]string, len(results))
	for i, result := range results {
		tokens[i], runs[i] = numberOf(result.Claim.Token), result.Claim.Run.Encode()
	}
	end := l.lookup([]any{tokens, runs}, l.sql.endTicks)
	end.row = row
	if l.sql.keepEnded == "" {
		return []statement{end}
	}
	return []statement{l.lookup([]any{tokens, runs}, l.sql.keepEnded), end}
}

func (l *Ledger) finishOthers(results []*domain.RunResult, row func(scanner) error) []statement {
	n := len(results)
	tokens, runs, phases, attempts := make([]int64, n), make([]string, n), make([]int64, n), make([]int64, n)
	for i, result := range results {
		tokens[i], runs[i] = numberOf(result.Claim.Token), result.Claim.Run.Encode()
		phases[i], attempts[i] = int64(phaseOf(result.End)), int64(result.Attempts)
	}
	finish := l.lookup([]any{tokens, runs, phases, attempts}, l.sql.finish)
	finish.row = row
	released := releasedJobs(results)
	if len(released) == 0 {
		return []statement{finish}
	}
	// Whoever decides on such a claim just now must look again.
	return []statement{l.numbers(0, false, nil), l.lookup([]any{released}, l.sql.stampJobs, newStamp()), finish}
}

func releasedJobs(results []*domain.RunResult) []string {
	var jobs []string
	for _, result := range results {
		if result.End == domain.EndReleased {
			jobs = append(jobs, result.Claim.Run.Job)
		}
	}
	slices.Sort(jobs)
	return slices.Compact(jobs)
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
	ticks := l.lookup([]any{tokens}, l.sql.endedTicks)
	ticks.row = func(scan scanner) error {
		var token int64
		err := scan(&token)
		finished[tokenOf(token)] = rest[tokenOf(token)].Claim.Run.Origin == domain.OriginSchedule
		return err
	}
	return l.runner.read(ctx, s, ticks)
}
