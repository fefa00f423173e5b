package sim_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata" // The zones must not depend on the host's files.

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

const mailQueue = "mail"

// spec is a scheduled job as the model and the runner both get it.
type spec struct {
	name     string
	schedule schedule.Schedule // nil for a job that is triggered by hand
	policy   domain.RunPolicy
	queued   bool
	misfire  schedule.Misfire
	// longest bounds what an attempt takes, failing is the share of attempts
	// that fail.
	longest time.Duration
	failing float64
}

// limited is a schedule that has instants for part of the time only.
type limited struct {
	schedule.Schedule

	until time.Time
}

// Next implements [schedule.Schedule].
func (l limited) Next(after time.Time) time.Time {
	next := l.Schedule.Next(after)
	if next.After(l.until) {
		return time.Time{}
	}
	return next
}

// Count implements [schedule.Schedule].
func (l limited) Count(from, to time.Time) int64 {
	if to.After(l.until) {
		to = l.until
	}
	return l.Schedule.Count(from, to)
}

var (
	zones = []string{
		"UTC", "America/New_York", "Europe/London", "Europe/Berlin", "Australia/Lord_Howe",
		"America/Sao_Paulo", "Asia/Kolkata", "Africa/Casablanca", "Pacific/Apia", "Asia/Tehran",
	}
	exprs = []string{
		"0 * * * *", "30 * * * *", "*/15 * * * *", "30 2 * * *", "30 1 * * *", "0 0 * * *", "15 */2 * * *", "45 1,2,3 * * *",
		"0 9-17 * * 1-5", "0 3 * * 0", "59 23 L * *", "0 12 1,15 * *", "*/20 0 * * * *", "30 15 4 * * *", "0 0 */3 * * *",
		"5 30 2 * * *", "0 59 1-3 * * *",
	}
	intervals = []time.Duration{
		7 * time.Minute, 20 * time.Minute, time.Hour, 90 * time.Minute, 6 * time.Hour, 25 * time.Hour, 47 * time.Minute,
	}
	fastIntervals = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond}
	overlaps      = []domain.OverlapPolicy{
		domain.OverlapSkip, domain.OverlapQueueOne, domain.OverlapAllow, domain.OverlapCancelPrevious,
	}
)

// makeSpecs draws n jobs.
func makeSpecs(t *testing.T, dice *rand.Rand, n int, start time.Time) []spec {
	t.Helper()
	specs := make([]spec, n)
	for i := range specs {
		specs[i] = makeSpec(t, dice, start)
		specs[i].name = fmt.Sprintf("job-%03d", i)
	}
	return specs
}

func pick[T any](dice *rand.Rand, from []T) T { return from[dice.IntN(len(from))] }

func makeSpec(t *testing.T, dice *rand.Rand, start time.Time) spec {
	t.Helper()
	s := spec{longest: pick(dice, []time.Duration{time.Second, 10 * time.Second, 5 * time.Minute, 40 * time.Minute}), failing: pick(dice, []float64{0, 0.1, 0.5})}
	switch kind := dice.IntN(20); {
	case kind < 11:
		cron, err := schedule.ParseCron(pick(dice, exprs), pick(dice, zones))
		if err != nil {
			t.Fatal(err)
		}
		s.schedule = cron
	case kind < 16:
		interval := pick(dice, intervals)
		phase := time.Duration(dice.Int64N(int64(interval/(250*time.Millisecond)))) * 250 * time.Millisecond
		s.schedule = schedule.Every{Interval: interval, Phase: phase}
	case kind < 18:
		s.schedule = limited{
			Schedule: schedule.Every{Interval: pick(dice, fastIntervals)},
			until:    start.Add(time.Duration(30+dice.IntN(90)) * time.Second),
		}
		s.longest = pick(dice, []time.Duration{50 * time.Millisecond, 2 * time.Second})
	default:
	}
	s.policy = makePolicy(dice, s.longest)
	s.queued = s.policy.Overlap != domain.OverlapCancelPrevious && dice.IntN(3) == 0
	s.misfire = schedule.Misfire{Policy: schedule.MisfirePolicy(dice.IntN(3)), Cap: 1000}
	return s
}

func makePolicy(dice *rand.Rand, longest time.Duration) domain.RunPolicy {
	p := domain.RunPolicy{Overlap: pick(dice, overlaps)}
	if dice.IntN(2) == 0 {
		p.Retries = domain.Retries{Count: 1 + dice.IntN(4), Backoff: domain.Backoff{
			Kind:   pick(dice, []domain.BackoffKind{domain.BackoffFixed, domain.BackoffExponential}),
			Delay:  pick(dice, []time.Duration{0, time.Second, 30 * time.Second}),
			Jitter: pick(dice, []float64{0, 0.5}),
		}}
	}
	if dice.IntN(3) == 0 {
		p.Timeout = longest/2 + time.Millisecond
	}
	if dice.IntN(4) == 0 {
		p.MaxJitter = pick(dice, []time.Duration{100 * time.Millisecond, 30 * time.Second, 20 * time.Minute})
	}
	return p
}

// conduct is what a handler does in an attempt.
type conduct struct {
	takes time.Duration
	fate  fate
}

type fate int

const (
	succeeds fate = iota
	fails
	failsForGood
	hasNothingToDo
)

// sliver keeps the ends of attempts off the milliseconds on which ticks lie,
// so that nothing ever happens at the same moment by chance.
const sliver = 7 * time.Microsecond

// conductOf is a pure function of the run: the model and the handler agree.
func (s *spec) conductOf(seed uint64, run domain.RunKey, attempt int) conduct {
	h := domain.Hash(fmt.Sprint(seed), run.Job, run.OriginID, fmt.Sprint(run.PlannedMS, attempt))
	dice := rand.New(rand.NewPCG(h, seed))
	takes := time.Duration(dice.Int64N(int64(s.longest))).Truncate(time.Millisecond) + sliver
	c := conduct{takes: takes}
	if dice.Float64() < s.failing {
		c.fate = fails
		if dice.IntN(10) == 0 {
			c.fate = pick(dice, []fate{failsForGood, hasNothingToDo})
		}
	}
	return c
}

// late is a schedule a millisecond behind another one.
type late struct{ schedule.Schedule }

func shifted(s schedule.Schedule) schedule.Schedule {
	if s == nil {
		return nil
	}
	return late{s}
}

// Next implements [schedule.Schedule].
func (l late) Next(after time.Time) time.Time {
	next := l.Schedule.Next(after.Add(-time.Millisecond))
	if next.IsZero() {
		return next
	}
	return next.Add(time.Millisecond)
}

// Count implements [schedule.Schedule].
func (l late) Count(from, to time.Time) int64 {
	return l.Schedule.Count(from.Add(-time.Millisecond), to.Add(-time.Millisecond))
}
