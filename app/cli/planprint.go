package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/taktwork/takt/app"
)

// noteCut says what a plan leaves out.
func (s *session) noteCut(v *view) {
	const named = 3
	switch {
	case len(v.ticks) == 0:
		s.say("nothing fires in this time")
	case len(v.cut) == 0:
	case v.title != "":
		s.say("the first %s; --count and --for show more", plural(len(v.ticks), "tick"))
	default:
		names := strings.Join(v.cut[:min(named, len(v.cut))], ", ")
		if more := len(v.cut) - named; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		s.say("the first ticks only of %s; --count and --for show more", printable(names))
	}
}

// printPlan prints a plan for people.
func (s *session) printPlan(v *view) {
	if len(v.ticks) == 0 {
		return
	}
	rows := [][]string{{"LOCAL TIME", "OFFSET", "ZONE", "JOB", "CLOCK CHANGE"}}
	for _, tick := range v.ticks {
		job := printable(tick.Job)
		if v.title != "" {
			job = printable(v.title)
		}
		rows = append(rows, []string{
			tick.At.Format(localLayout(tick.At)), tick.At.Format("-07:00"), tick.At.Location().String(), job, tick.Note,
		})
	}
	table(s.out, rows)
}

func localLayout(at time.Time) string {
	if at.Nanosecond() != 0 {
		return "Mon 2006-01-02 15:04:05.000"
	}
	return "Mon 2006-01-02 15:04:05"
}

// tickAnswer is one tick as JSON.
type tickAnswer struct {
	Job  string `json:"job"`
	At   string `json:"at"`
	Zone string `json:"zone"`
	Note string `json:"note,omitempty"`
}

// printPlanJSON prints the ticks of jobs as objects, those of an expression
// as instants alone.
func (s *session) printPlanJSON(v *view) error {
	if v.title != "" {
		instants := make([]string, len(v.ticks))
		for i, tick := range v.ticks {
			instants[i] = tick.At.Format(time.RFC3339Nano)
		}
		return s.printJSON(instants)
	}
	answers := make([]tickAnswer, len(v.ticks))
	for i, tick := range v.ticks {
		answers[i] = describeTick(tick)
	}
	return s.printJSON(answers)
}

func describeTick(tick app.PlannedTick) tickAnswer {
	return tickAnswer{
		Job: tick.Job, At: tick.At.Format(time.RFC3339Nano), Zone: tick.At.Location().String(), Note: tick.Note,
	}
}
