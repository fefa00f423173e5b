package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
)

// runPrinter prints records, the latest of runs and jobs, a line each.
func (s *session) runPrinter(zone *time.Location, asJSON bool) func([]domain.Record) error {
	if asJSON {
		encoder := json.NewEncoder(s.out)
		encoder.SetEscapeHTML(false)
		return func(records []domain.Record) error {
			for i := range records {
				if err := encoder.Encode(describeRun(&records[i])); err != nil {
					return err
				}
			}
			return nil
		}
	}
	titled := false
	return func(records []domain.Record) error {
		var rows [][]string
		if !titled && len(records) > 0 {
			rows = append(rows, []string{"AT", "STATE", "RUN", "LATE", "ATTEMPTS", "TOOK", "REPLICA", "REASON"})
			titled = true
		}
		for i := range records {
			rows = append(rows, runRow(&records[i], zone))
		}
		table(s.out, rows)
		return nil
	}
}

func runRow(r *domain.Record, zone *time.Location) []string {
	return []string{
		r.At.In(zone).Format("2006-01-02 15:04:05 -07:00"), string(history.StateOf(r.Event)), printable(subjectText(r, zone)),
		orDash(span(r.Late)), orDash(count(r.Attempt)), orDash(span(r.Took)), orDash(r.Replica), orDash(reasonText(r)),
	}
}

// subjectText names the run with its planned instant, or the queue job.
func subjectText(r *domain.Record, zone *time.Location) string {
	if r.Run.Origin == "" {
		return fmt.Sprintf("%s/%s %s", r.Queue, r.JobID, r.JobName)
	}
	text := r.Run.Job
	if r.Run.Origin != domain.OriginSchedule {
		text += " " + string(r.Run.Origin) + ":" + r.Run.OriginID
	}
	if r.Run.PlannedMS != 0 && r.Run.Origin != domain.OriginManual {
		text += " " + r.Run.Planned().In(zone).Format(localLayout(r.Run.Planned())[len("Mon "):])
	}
	if r.Count > 1 && !r.Until.IsZero() {
		text += fmt.Sprintf(" and %d more up to %s", r.Count-1, r.Until.In(zone).Format(localLayout(r.Until)[len("Mon "):]))
	}
	return text
}

// reasonText is why, in one line.
func reasonText(r *domain.Record) string {
	reason, _, more := strings.Cut(r.Reason, "\n")
	if more {
		reason += " …"
	}
	if r.By != "" {
		reason = strings.TrimSpace(reason + " (by " + r.By + ")")
	}
	if r.Event == domain.EventFired {
		reason = strings.TrimSpace(reason + fmt.Sprintf(" job %s on queue %s", r.JobID, r.Queue))
	}
	return reason
}

func span(d time.Duration) string {
	if d < time.Millisecond {
		return ""
	}
	if d >= 10*time.Second {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// runLine is a record as JSON.
type runLine struct {
	At       string            `json:"at"`
	State    string            `json:"state"`
	Event    string            `json:"event"`
	RunID    string            `json:"runId,omitempty"`
	Job      string            `json:"job,omitempty"`
	Origin   string            `json:"origin,omitempty"`
	Planned  string            `json:"planned,omitempty"`
	Until    string            `json:"until,omitempty"`
	Count    int               `json:"count,omitempty"`
	Queue    string            `json:"queue,omitempty"`
	JobID    string            `json:"jobId,omitempty"`
	JobName  string            `json:"jobName,omitempty"`
	Replica  string            `json:"replica"`
	Attempts int               `json:"attempts,omitempty"`
	LateMS   int64             `json:"lateMs,omitempty"`
	TookMS   float64           `json:"tookMs,omitempty"`
	WaitMS   int64             `json:"waitMs,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	By       string            `json:"by,omitempty"`
	Fields   map[string]string `json:"fields,omitempty"`
}

func describeRun(r *domain.Record) runLine {
	line := runLine{
		At: stamp(r.At, time.UTC), State: string(history.StateOf(r.Event)), Event: string(r.Event), Replica: r.Replica,
		Queue: string(r.Queue), JobID: string(r.JobID), JobName: r.JobName, Attempts: r.Attempt,
		LateMS: r.Late.Milliseconds(), TookMS: float64(r.Took.Microseconds()) / 1000, WaitMS: r.Wait.Milliseconds(),
		Reason: r.Reason, By: r.By,
	}
	if r.Run.Origin != "" {
		line.RunID, line.Job, line.Origin = r.Run.String(), r.Run.Job, string(r.Run.Origin)
	}
	if r.Run.PlannedMS != 0 {
		line.Planned = stamp(r.Run.Planned(), time.UTC)
	}
	if r.Count > 1 {
		line.Until, line.Count = stamp(r.Until, time.UTC), r.Count
	}
	for _, field := range r.Fields {
		if line.Fields == nil {
			line.Fields = map[string]string{}
		}
		line.Fields[field.Path] = field.Value
	}
	return line
}
