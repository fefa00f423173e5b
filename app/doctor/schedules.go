package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/schedule"
)

// Checks of the features.
const (
	// CheckSchedules are the scheduled jobs of the features.
	CheckSchedules   = "schedules"
	checkClockChange = "clock change"
)

// Schedules is what features registered.
type Schedules struct {
	// Off tells that WORKER_SCHEDULER_ENABLED is false.
	Off bool
	// Jobs are all scheduled jobs, Planned those that are enabled and have a
	// schedule.
	Jobs    []app.JobInfo
	Planned []app.PlannedJob
	// Warnings are those of the registrations.
	Warnings []string
	Now      time.Time
}

// Refused judges features whose registration was refused.
func Refused(err *app.RegistrationError) []Finding {
	found := make([]Finding, len(err.Problems))
	for i, problem := range err.Problems {
		found[i] = mistake(CheckSchedules, problem, "correct the feature that registers it: no worker starts before")
	}
	return found
}

// Findings judges the schedules.
func (s *Schedules) Findings() []Finding {
	var disabled []string
	for i := range s.Jobs {
		if !s.Jobs[i].Enabled {
			disabled = append(disabled, s.Jobs[i].ID)
		}
	}
	if s.Off && len(s.Jobs) > 0 {
		return []Finding{warning(CheckSchedules, "WORKER_SCHEDULER_ENABLED is false: none of "+plural(len(s.Jobs), "job")+" fires", "set it to true, or leave it out")}
	}
	text := fmt.Sprintf("%s, %d with ticks to come", plural(len(s.Jobs), "job"), len(s.Planned))
	if len(disabled) > 0 {
		text += "; disabled: " + few(disabled)
	}
	found := []Finding{fine(CheckSchedules, "%s", text)}
	for _, text := range s.Warnings {
		found = append(found, warning(CheckSchedules, text, "change the registration if that is not meant"))
	}
	for _, job := range s.Planned {
		if job.Schedule.Next(s.Now).IsZero() {
			found = append(found, warning(CheckSchedules, "job "+job.Name+" never fires again", "change its schedule, or remove it"))
		}
	}
	return append(found, s.changes()...)
}

const (
	// changesWithin is how far ahead changes of the clocks are looked for.
	changesWithin = 30 * 24 * time.Hour
	// aroundChange is how near to a change its effects are.
	aroundChange = 3 * time.Hour
	// mostTicks bounds the ticks of a job around a change.
	mostTicks = 1000
)

// changes tells which ticks the next change of the clocks moves, merges or does
// not repeat, zone by zone.
func (s *Schedules) changes() (found []Finding) {
	for _, job := range s.Planned {
		cron, is := job.Schedule.(*schedule.Cron)
		if !is {
			continue
		}
		_, change := s.Now.In(cron.Location()).ZoneBounds()
		if change.IsZero() || change.Sub(s.Now) > changesWithin {
			continue
		}
		if note, at := touched(cron, change); note.Kind != schedule.NoteNone {
			found = append(found, changed(job.Name, cron, note, at))
		}
	}
	return found
}

// touched returns the first tick that the change does not leave as it is.
func touched(cron *schedule.Cron, change time.Time) (schedule.Note, time.Time) {
	at, until := cron.Next(change.Add(-aroundChange)), change.Add(aroundChange)
	for range mostTicks {
		if at.IsZero() || at.After(until) {
			break
		}
		switch note := cron.Note(at); note.Kind {
		case schedule.NoteMoved, schedule.NoteMerged, schedule.NoteOnlyFirst:
			return note, at
		case schedule.NoteNone, schedule.NoteFirstPass, schedule.NoteSecondPass:
		}
		at = cron.Next(at)
	}
	return schedule.Note{}, time.Time{}
}

func changed(job string, cron *schedule.Cron, note schedule.Note, at time.Time) Finding {
	date := at.In(cron.Location()).Format(time.DateOnly)
	text := strings.Join([]string{"job", job, "on", date, "in", cron.Zone() + ":", note.String()}, " ")
	if note.Kind == schedule.NoteMerged {
		return warning(checkClockChange, text, fmt.Sprintf(`"worker plan %s --from %s --for 1d" shows it; choose another hour or zone if both are needed`, job, date))
	}
	return fine(checkClockChange, "%s", text)
}
