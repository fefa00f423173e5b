package redisqueue

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Fields of a job that are shown.
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
	viewDelay
	viewWorker
	viewParentKey
	viewParent
	viewDedup
	viewScheduler
	viewDeferred
	viewFields
)

// fieldNames are their names in a job's hash (protocol 1.6).
func fieldNames() map[string]int {
	return map[string]int{
		"name": viewName, "data": viewData, "opts": viewOptions, "timestamp": viewTimestamp, "priority": viewPriority,
		"atm": viewAttempts, "attemptsMade": viewOldAttempts, "ats": viewStarted, "stc": viewCrashes, "parked": viewParked,
		"progress": viewProgress, "returnvalue": viewResult, "failedReason": viewReason, "stacktrace": viewStacks,
		"processedOn": viewProcessed, "finishedOn": viewFinished, "delay": viewDelay, "pb": viewWorker,
		"parentKey": viewParentKey, "parent": viewParent, "deid": viewDedup, "rjk": viewScheduler, "defa": viewDeferred,
	}
}

// viewTexts are the fields of one job as they stand in its hash.
type viewTexts struct {
	texts [viewFields]string
	some  [viewFields]bool
}

// readFields reads a list of names and values.
func (r *jobReader) readFields(u *unpacker) (fields viewTexts) {
	for n := u.list() / 2; n > 0 && u.err == nil; n-- {
		name, _ := u.text()
		value, some := u.text()
		if at, known := r.names[name]; known {
			fields.texts[at], fields.some[at] = value, some
		}
	}
	return fields
}

// view reads a job as inspect_jobs.lua packs it, and hands it over.
func (r *jobReader) view(packed, id string) error {
	u := unpacker{rest: packed}
	state, _ := u.text()
	due, _ := u.text()
	read := r.readFields(&u)
	fields, some := &read.texts, &read.some
	log := u.texts()
	if u.err != nil {
		return u.err
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
		StartedAt: millisTime(fields[viewProcessed]), FinishedAt: millisTime(fields[viewFinished]),
	}
	// The score of a job that is looked up by its id may be another set's.
	if view.State == domain.StateDelayed || view.State == domain.StateParked {
		view.DueAt = dueTime(due)
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
	r.take(&view, fields)
	return nil
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
