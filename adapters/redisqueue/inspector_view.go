package redisqueue

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Fields of a job in the order in which inspect_jobs.lua replies with them.
const (
	viewName = iota
	viewData
	viewOptions
	viewTimestamp
	viewPriority
	viewAttempts
	viewOldAttempts
	viewStarted
	viewCrashes
	viewParked
	viewProgress
	viewResult
	viewReason
	viewStacks
	viewProcessed
	viewFinished
	viewFields
)

// view reads a job as inspect_jobs.lua packs it.
func (r *jobReader) view(packed, id string) (domain.JobView, error) {
	u := unpacker{rest: packed}
	state, _ := u.text()
	due, _ := u.text()
	var fields [viewFields]string
	var some [viewFields]bool
	for i := range fields {
		fields[i], some[i] = u.text()
	}
	log := u.texts()
	if u.err != nil {
		return domain.JobView{}, u.err
	}
	view := domain.JobView{
		Job: domain.Job{
			ID: domain.JobID(id), Queue: r.queue, Name: fields[viewName], Options: r.options.of(fields[viewOptions]).JobOptions,
			CreatedAt:       millisTime(fields[viewTimestamp]),
			AttemptsMade:    count(fields[viewAttempts]),
			AttemptsStarted: count(fields[viewStarted]),
			Crashes:         count(fields[viewCrashes]),
			Parked:          count(fields[viewParked]),
		},
		State: domain.State(state), Log: log,
		Reason: domain.CleanText(fields[viewReason], domain.MaxReason), Stack: latestStack(fields[viewStacks], fields[viewReason]),
		DueAt: dueTime(due), StartedAt: millisTime(fields[viewProcessed]), FinishedAt: millisTime(fields[viewFinished]),
	}
	view.Job.Options.Priority = count(fields[viewPriority])
	if some[viewOldAttempts] {
		view.Job.AttemptsMade = count(fields[viewOldAttempts])
	}
	if some[viewData] {
		view.Job.Data = []byte(fields[viewData])
	}
	if some[viewProgress] {
		view.Progress = []byte(fields[viewProgress])
	}
	if some[viewResult] {
		view.Result = []byte(fields[viewResult])
	}
	return view, nil
}

// texts reads a list of strings.
func (u *unpacker) texts() []string {
	n := u.list()
	if n == 0 || u.err != nil {
		return nil
	}
	texts := make([]string, 0, n)
	for range n {
		text, _ := u.text()
		texts = append(texts, text)
	}
	return texts
}

// scoreSlots is by how much a delayed score is larger than its ms.
const scoreSlots = 4096

// dueTime reads a delayed score; the zero time if it is none.
func dueTime(score string) time.Time {
	n, err := strconv.ParseFloat(score, 64)
	if err != nil || math.IsNaN(n) {
		return time.Time{}
	}
	return millisTime(strconv.FormatFloat(math.Floor(n/scoreSlots), 'f', -1, 64))
}

// latestStack returns the last stack trace of the list without the line that
// repeats the reason.
func latestStack(stacks, reason string) string {
	var traces []string
	if json.Unmarshal([]byte(stacks), &traces) != nil || len(traces) == 0 {
		return ""
	}
	trace := traces[len(traces)-1]
	if rest, found := strings.CutPrefix(trace, stackHead+reason); found {
		trace = strings.TrimPrefix(rest, "\n")
	}
	return domain.CleanText(trace, domain.MaxStack)
}
