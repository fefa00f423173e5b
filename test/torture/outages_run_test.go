package torture_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/test/figures"
)

// recovery is how long after an outage a worker may take to go on.
const recovery = 5 * time.Second

// busiest is the share of a core that a worker may use meanwhile.
const busiest = 0.20

// sample is what a worker said of its health, and when.
type sample struct {
	health

	at int64
}

// TestWorkersSurviveOutages breaks Redis in one way after the other, while
// jobs are produced and worked.
func TestWorkersSurviveOutages(t *testing.T) {
	t.Parallel()
	for name, o := range outages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newScene(t, o, worker).play()
		})
	}
}

// TestTheProgramTellsTheTruthOfItsHealth does so with the worker's own command
// line, which is asked by worker health.
func TestTheProgramTellsTheTruthOfItsHealth(t *testing.T) {
	t.Parallel()
	for name, o := range outages() {
		if !everything() && !slices.Contains([]string{"restart", "readonly", "wrong password", "frozen"}, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newScene(t, o, program).play()
		})
	}
}

func (s *scene) play() {
	s.observe("the first jobs", patience, func() bool { return s.count(ended) >= 30 })
	s.strike()
	s.recover()
	s.finish()
	s.judge()
}

// count returns how many effects of the kind there are.
func (s *scene) count(kind mark) int {
	n := 0
	for _, e := range s.desk.gather(s.t, contents{}).effects {
		if e.Mark == kind {
			n++
		}
	}
	return n
}

// observe asks the worker for its health until the condition holds.
func (s *scene) observe(what string, limit time.Duration, holds func() bool) {
	s.t.Helper()
	await(s.t, what, limit, func() bool {
		s.samples = append(s.samples, sample{health: s.worker.health(), at: instant()})
		return holds()
	})
}

// strike causes the outage and ends it.
func (s *scene) strike() {
	s.t.Helper()
	before := s.cpu()
	s.begun = instant()
	s.step(s.outage.begin)
	s.observe("the end of the outage", patience, func() bool {
		return instant()-s.begun >= s.outage.lasts.Nanoseconds()
	})
	share := (s.cpu() - before).Seconds() / (float64(instant()-s.begun) / 1e9)
	if s.outage.heal != nil {
		s.step(s.outage.heal)
	}
	s.permit()
	s.healed = instant()
	s.desk.note(s.t, blow{Kind: serverAway, From: s.begun, Until: s.healed})
	s.t.Logf("%.1f%% of a core for %s", 100*share, time.Duration(s.healed-s.begun).Round(time.Millisecond))
	if share > busiest {
		s.t.Errorf("the worker used %.0f%% of a core, want at most %.0f%%", 100*share, 100*busiest)
	}
}

func (s *scene) cpu() time.Duration {
	s.t.Helper()
	spent, err := figures.CPUOf(s.worker.pid())
	if err != nil {
		s.t.Fatal(err)
	}
	return spent
}

// recover waits for the first job that begins and ends after the outage.
func (s *scene) recover() {
	s.t.Helper()
	s.observe("a job after the outage", recovery, func() bool {
		for _, e := range s.desk.gather(s.t, contents{}).effects {
			if e.Mark == ended && e.At > s.healed {
				return true
			}
		}
		return false
	})
	s.back = instant()
	s.t.Logf("first job %s after the outage", time.Duration(s.back-s.healed).Round(time.Millisecond))
}

// finish waits until all jobs are done, and ends the worker.
func (s *scene) finish() {
	s.t.Helper()
	s.observe("the end of the producer", patience, func() bool { return !s.producer.running() })
	s.producer.wait()
	client := s.server.Client()
	s.observe("the end of all jobs", patience, func() bool {
		left, err := unfinished(s.t.Context(), client)
		return err == nil && left == 0 && instant()-s.back > time.Second.Nanoseconds()
	})
	s.worker.stop()
}

func (s *scene) judge() {
	s.t.Helper()
	judged(s.t, s.desk, s.server, rules{concurrency: 10, workers: 1, batch: 5, crashes: 2})
	for _, p := range []*process{s.worker, s.producer} {
		report(s.t, chatter(readLog(p.text())))
		if strings.Contains(p.text(), workerPassword) {
			s.t.Errorf("the log of %s holds the password", p.Name)
		}
	}
	report(s.t, truth(s.samples, s.outage.noticed, span{s.begun, s.healed, s.back}))
}

// span is an outage: when it began and was ended, and when work went on.
type span struct{ begun, healed, back int64 }

// afterglow is how long after that health may still tell of the outage.
const afterglow = 500 * time.Millisecond

// truth returns what is wrong with what a worker said of its health: it must
// say that Redis does not answer from a while after the beginning of an outage
// until its end, and that it does before, and when work goes on. noticed is that
// while; zero if Redis answers during the outage.
func truth(samples []sample, noticed time.Duration, o span) []string {
	var wrong []string
	for _, s := range samples {
		away := s.Away > 0
		after := time.Duration(s.at - o.begun).Round(time.Millisecond)
		switch {
		case away && (s.at < o.begun || s.at > o.back+afterglow.Nanoseconds()):
			wrong = append(wrong, fmt.Sprintf("health: away (%s) at %s, when all was well", s.Reason, after))
		case away && s.Away > time.Duration(s.at-o.begun)+time.Second:
			wrong = append(wrong, fmt.Sprintf("health: away for %s, %s after the beginning", s.Away, after))
		case away && s.Reason == "":
			wrong = append(wrong, fmt.Sprintf("health: away for no reason at %s", after))
		case !away && noticed > 0 && s.at > o.begun+noticed.Nanoseconds() && s.at < o.healed:
			wrong = append(wrong, fmt.Sprintf("health: all well at %s, when Redis did not answer", after))
		}
	}
	return wrong
}

func TestLiesOfHealthAreFound(t *testing.T) {
	const second = int64(time.Second)
	well, away := health{}, health{Away: time.Second, Reason: "refused"}
	for name, c := range map[string]struct {
		at     int64
		health health
		want   int
	}{
		"well before":                {at: 9 * second, health: well},
		"away before":                {at: 9 * second, health: away, want: 1},
		"well at the beginning":      {at: 11 * second, health: well},
		"away at the beginning":      {at: 11 * second, health: away},
		"away for too long a time":   {at: 11 * second, health: health{Away: time.Minute, Reason: "refused"}, want: 1},
		"away without a reason":      {at: 14 * second, health: health{Away: time.Second}, want: 1},
		"well meanwhile":             {at: 14 * second, health: well, want: 1},
		"away shortly after the end": {at: 21 * second, health: away},
		"away long after the end":    {at: 26 * second, health: away, want: 1},
		"well after the end":         {at: 21 * second, health: well},
	} {
		got := truth([]sample{{health: c.health, at: c.at}}, 2*time.Second, span{10 * second, 20 * second, 22 * second})
		if len(got) != c.want {
			t.Errorf("%s: truth = %q, want %d", name, got, c.want)
		}
	}
}
