package sim_test

import (
	"fmt"
	"math"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// drawn is what the runner's dice always show.
const drawn = 0.5

// expected is what the model says about one run: what is recorded, and when
// the handler is called and returns.
type expected struct {
	run     domain.RunKey
	records []string
	calls   []string
	// queued is set when the run puts a job on the queue.
	queued bool
	end    time.Time
}

// model plays one job by the book, one tick after the other, all at their time.
type model struct {
	spec *spec
	seed uint64
	// pending is until when a run waits for its jitter.
	pending time.Time
	// running is the run that holds the slot, waiting the one behind it.
	running, waiting *expected
	all              []*expected
}

// ticks walks through the schedule, one instant after the other.
func (s *spec) ticks(from, to time.Time) []time.Time {
	var all []time.Time
	for at := s.schedule.Next(from); !at.IsZero() && !at.After(to); at = s.schedule.Next(at) {
		all = append(all, at)
	}
	return all
}

func (m *model) tick(planned time.Time) {
	e := &expected{run: domain.TickKey(m.spec.name, planned)}
	m.all = append(m.all, e)
	if planned.Before(m.pending) {
		e.note(planned, "skipped (jitter_pending)")
		e.end = planned
		return
	}
	e.note(planned, "claimed")
	jitter := domain.Jitter(domain.DefaultNamespace, m.spec.name, planned, m.spec.policy.MaxJitter)
	if jitter == 0 {
		m.enter(e, planned)
		return
	}
	e.note(planned, fmt.Sprint("jittered wait ", jitter))
	m.pending = planned.Add(jitter)
	m.enter(e, m.pending)
}

func (m *model) trigger(id string, at time.Time) {
	e := &expected{run: domain.RunKey{Job: m.spec.name, Origin: domain.OriginManual, OriginID: id}}
	m.all = append(m.all, e)
	e.note(at, "claimed")
	m.enter(e, at)
}

// enter asks for the overlap slot.
func (m *model) enter(e *expected, at time.Time) {
	m.promote(at)
	busy := m.running != nil && m.running.end.After(at)
	switch {
	case m.spec.policy.Overlap == domain.OverlapAllow || !busy:
		m.start(e, at)
	case m.spec.policy.Overlap == domain.OverlapQueueOne && m.waiting == nil:
		m.waiting = e
		e.note(at, "queued by "+m.running.run.String())
	case m.spec.policy.Overlap == domain.OverlapCancelPrevious:
		m.running.cut(at)
		m.start(e, at)
	default:
		// A run that never had a claim is not recorded as claimed.
		if len(e.records) == 1 {
			e.records = nil
		}
		e.note(at, "skipped (overlap) by "+m.running.run.String())
		e.end = at
	}
}

// promote starts the waiting run if the one before has ended by then.
func (m *model) promote(now time.Time) {
	for m.waiting != nil && !m.running.end.After(now) {
		next := m.waiting
		m.waiting = nil
		m.start(next, m.running.end)
	}
}

// start plays the attempts of a run.
func (m *model) start(e *expected, at time.Time) {
	m.running = e
	p := &m.spec.policy
	for attempt := 1; ; attempt++ {
		c := m.spec.conductOf(m.seed, e.run, attempt)
		e.note(at, fmt.Sprint("started #", attempt))
		timedOut := p.Timeout > 0 && c.takes > p.Timeout
		if timedOut {
			c = conduct{takes: p.Timeout, fate: fails}
		}
		end := at.Add(c.takes)
		e.calls = append(e.calls, fmt.Sprint(stamp(at), " to ", stamp(end), " #", attempt))
		if c.fate != fails || attempt > p.Retries.Count {
			m.conclude(e, c.fate, attempt, end)
			return
		}
		wait := backoff(p.Retries.Backoff, attempt)
		event := domain.EventRetrying
		if timedOut {
			event = domain.EventTimedOut
		}
		e.note(end, fmt.Sprint(event, " #", attempt, waitText(wait)))
		at = end.Add(wait)
	}
}

func (m *model) conclude(e *expected, f fate, attempt int, end time.Time) {
	e.end = end
	event := domain.EventFailed
	switch {
	case f == succeeds && m.spec.queued:
		event, e.queued = domain.EventFired, true
	case f == succeeds:
		event = domain.EventCompleted
	case f == hasNothingToDo:
		event = domain.EventSkipped
	}
	e.note(end, fmt.Sprint(event, " #", attempt))
}

// cut ends the run early: a newer one cancels it.
func (e *expected) cut(at time.Time) {
	kept, attempts := e.records[:0:0], 0
	for i, record := range e.records {
		if record[:len(stampLayout)] > stamp(at) {
			break
		}
		kept = append(kept, e.records[i])
	}
	for i, call := range e.calls {
		if call[:len(stampLayout)] > stamp(at) {
			e.calls = e.calls[:i]
			break
		}
		if end := call[len(stampLayout)+4 : 2*len(stampLayout)+4]; end > stamp(at) {
			e.calls[i] = fmt.Sprint(call[:len(stampLayout)], " to ", stamp(at), " #", i+1)
			attempts = i + 1
		}
	}
	e.records, e.end, e.queued = kept, at, false
	text := "cancelled"
	if attempts > 0 {
		text = fmt.Sprint("cancelled #", attempts)
	}
	e.note(at, text)
}

func (e *expected) note(at time.Time, what string) {
	e.records = append(e.records, stamp(at)+" "+what)
}

// stampLayout writes times of equal length, so that they sort as text.
const stampLayout = "2006-01-02T15:04:05.000000000"

func stamp(t time.Time) string { return t.UTC().Format(stampLayout) }

func waitText(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return " wait " + d.String()
}

// backoff is the rule as users know it: the delay, doubled each time if it
// is exponential, with its jittered part as the dice fall.
func backoff(b domain.Backoff, failed int) time.Duration {
	delay := float64(b.Delay)
	if b.Kind == domain.BackoffExponential {
		delay *= math.Pow(2, float64(failed-1))
	}
	delay = min(delay, float64(24*time.Hour))
	return time.Duration(delay - delay*b.Jitter + delay*b.Jitter*drawn)
}
