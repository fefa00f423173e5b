package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/figures"
)

const (
	// listed is how many runs "worker runs" lists.
	listed = 50
	// askedJob is the number of the job whose ticks are asked about.
	askedJob = 5
	// answerWithin is the goal of each question, in ms.
	answerWithin = 50
)

// ask is a question to the history, with the words of the command line.
type ask struct {
	words string
	ask   func(context.Context, ports.RunStore) error
}

// queriesOn measures the slowest of the filters of "worker runs", and of the
// ticks that "worker why" is asked about, among the records of -records.
func (b *bench) queriesOn(open opener, past past, analyze string) func(context.Context) ([]figures.Figure, error) {
	return func(ctx context.Context) (taken []figures.Figure, err error) {
		db, err := open(ctx, "queries_"+past.name)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		store := db.RunStore("")
		end, err := past.fill(ctx, store, b.records)
		if err != nil {
			return nil, err
		}
		if analyze != "" {
			// The server does so by itself within a minute, in the midst of measuring.
			if _, err := db.Bun().ExecContext(ctx, analyze); err != nil {
				return nil, err
			}
		}
		runs, running, why := runsAsks(end), stateAsk(history.StateRunning), whyAsks(end)
		for _, group := range []struct {
			name string
			asks []ask
		}{
			{fmt.Sprintf("runs, slowest of %d filters", len(runs)), runs},
			{"runs", []ask{running}},
			{fmt.Sprintf("why, slowest of %d ticks", len(why)), why},
		} {
			words, times, err := b.slowest(ctx, store, group.asks)
			if err != nil {
				return nil, err
			}
			taken = append(taken, figures.New(group.name+": "+words, "ms", times, figures.AtMost(answerWithin)))
		}
		return taken, nil
	}
}

// slowest returns the question with the largest median, and its times in ms.
func (b *bench) slowest(ctx context.Context, store ports.RunStore, asks []ask) (words string, slowest []float64, err error) {
	for _, q := range asks {
		var times []float64
		for round := range b.rounds + 1 {
			began := time.Now()
			if err := q.ask(ctx, store); err != nil {
				return "", nil, fmt.Errorf("%s: %w", q.words, err)
			}
			if round > 0 { // the first one reads files and makes plans
				times = append(times, milliseconds(time.Since(began)))
			}
		}
		if slowest == nil || figures.Median(times) > figures.Median(slowest) {
			words, slowest = q.words, times
		}
	}
	return words, slowest, nil
}

// runsAsk lists as "worker runs" does.
func runsAsk(words string, filter domain.RunFilter, states ...history.State) ask {
	ofQueues := filter.Queue != "" || len(filter.JobIDs) > 0 || filter.JobName != "" || len(filter.Fields) > 0 ||
		slices.ContainsFunc(states, history.State.OfQueueJobs)
	if !ofQueues && len(filter.Origins) == 0 {
		filter.Origins = domain.Origins()
	}
	return ask{words, func(ctx context.Context, store ports.RunStore) error {
		_, err := history.List(ctx, store, history.Listing{Filter: filter, States: states, Limit: listed})
		return err
	}}
}

func stateAsk(state history.State) ask {
	return runsAsk("--state "+string(state), domain.RunFilter{}, state)
}

// runsAsks are all filters of "worker runs": each alone, with frequent, rare
// and absent values, and pairs that leave little of what is frequent.
func runsAsks(end time.Time) []ask {
	middle := pastBegins.Add(end.Sub(pastBegins) / 2)
	asks := []ask{
		runsAsk("no filter", domain.RunFilter{}),
		runsAsk("--since, the last minute", domain.RunFilter{Since: end.Add(-time.Minute)}),
		runsAsk("--since, the whole past", domain.RunFilter{Since: pastBegins}),
		runsAsk("--until, the middle", domain.RunFilter{Before: middle}),
		runsAsk("--until, before all", domain.RunFilter{Before: pastBegins}),
		runsAsk("--job-id", domain.RunFilter{JobIDs: []domain.JobID{"1000"}}),
		runsAsk("--job-id, absent", domain.RunFilter{JobIDs: []domain.JobID{"none"}}),
		runsAsk("--queue --job-name", domain.RunFilter{Queue: "queue-1", JobName: "name-1"}),
		runsAsk("--queue --state failed", domain.RunFilter{Queue: "queue-1"}, "failed"),
		runsAsk("--queue --state running", domain.RunFilter{Queue: "queue-1"}, history.StateRunning),
		runsAsk("NAME --state failed", domain.RunFilter{Job: "job-7"}, "failed"),
		runsAsk("NAME --state lost, absent", domain.RunFilter{Job: "job-7"}, "lost"),
		runsAsk("NAME --state running", domain.RunFilter{Job: "job-7"}, history.StateRunning),
		runsAsk("--replica --state failed", domain.RunFilter{Replica: "replica-1"}, "failed"),
		runsAsk("--state failed --since --until", domain.RunFilter{Since: pastBegins, Before: middle}, "failed"),
		runsAsk("--field order", domain.RunFilter{Fields: []domain.Field{{Path: "order", Value: "50"}}}),
		runsAsk("--field tenant --field order", domain.RunFilter{Fields: []domain.Field{{Path: "tenant", Value: "t1"}, {Path: "order", Value: "5"}}}),
		runsAsk("--field tenant --state failed", domain.RunFilter{Fields: []domain.Field{{Path: "tenant", Value: "t4"}}}, "failed"),
	}
	for _, state := range history.States() {
		asks = append(asks, stateAsk(state))
	}
	for _, origin := range domain.Origins() {
		asks = append(asks, runsAsk("--origin "+string(origin), domain.RunFilter{Origins: []domain.Origin{origin}}))
	}
	for _, which := range []struct{ word, value, tenant string }{{"", "1", "t4"}, {", rare", "rare", "rare"}, {", absent", "none", "none"}} {
		asks = append(
			asks,
			runsAsk("NAME"+which.word, domain.RunFilter{Job: "job-" + which.value}),
			runsAsk("--queue"+which.word, domain.RunFilter{Queue: domain.QueueName("queue-" + which.value)}),
			runsAsk("--job-name"+which.word, domain.RunFilter{JobName: "name-" + which.value}),
			runsAsk("--replica"+which.word, domain.RunFilter{Replica: "replica-" + which.value}),
			runsAsk("--field tenant"+which.word, domain.RunFilter{Fields: []domain.Field{{Path: "tenant", Value: which.tenant}}}),
		)
	}
	return asks
}

// tick returns one of the job that is asked about, within some seconds of at.
func tick(at time.Time) time.Time {
	return at.Truncate(pastJobs * time.Second).Add(askedJob * time.Second)
}

// whyAsks are questions about ticks of all ages, planned and not planned.
func whyAsks(end time.Time) (asks []ask) {
	for _, when := range []struct {
		words string
		at    time.Time
	}{
		{"the newest", tick(end.Add(-time.Minute))},
		{"the middle", tick(pastBegins.Add(end.Sub(pastBegins) / 2))},
		{"the oldest", tick(pastBegins.Add(time.Minute))},
		{"before all", tick(pastBegins.Add(-time.Hour))},
		{"not planned", tick(end.Add(-time.Minute)).Add(time.Millisecond)},
	} {
		q := history.Question{Job: fmt.Sprint("job-", askedJob), At: when.at, Now: end}
		asks = append(asks, ask{when.words, func(ctx context.Context, store ports.RunStore) error {
			evidence, err := history.Gather(ctx, store, &q)
			if err == nil {
				_ = history.Explain(q, evidence)
			}
			return err
		}})
	}
	return asks
}
