package domain

import (
	"slices"
	"time"
)

// DefaultRunLimit is the limit of a [RunFilter] that names none.
const DefaultRunLimit = 100

// RunFilter selects records. Zero fields select everything, and are left out of its
// JSON: a worker that does not have them yet refuses a filter only if they are used.
type RunFilter struct {
	// Job is a scheduled job.
	Job string `json:",omitzero"`
	// Runs are those of scheduled jobs, any of which is selected; keys without an
	// origin are none.
	Runs []RunKey `json:",omitzero"`
	// Tick selects the records about the tick planned at that instant, and
	// about its backfills; ranges that contain it are among them.
	Tick    time.Time `json:",omitzero"`
	Origins []Origin  `json:",omitzero"`

	Queue QueueName `json:",omitzero"`
	// JobIDs are those of queue jobs, any of which is selected.
	JobIDs  []JobID `json:",omitzero"`
	JobName string  `json:",omitzero"`
	// Fields selects records that have all of them.
	Fields []Field `json:",omitzero"`

	Events  []Event `json:",omitzero"`
	Replica string  `json:",omitzero"`
	// UnderWay selects the latest record about each run and queue job that is
	// under way by it; see [Event.UnderWay]. Of records that were appended long
	// after they were made a store may return some that are not the latest.
	UnderWay bool `json:",omitzero"`

	// Since and Before bound At: from Since on, earlier than Before.
	Since  time.Time `json:",omitzero"`
	Before time.Time `json:",omitzero"`
	// BeforeID selects records of the moment Before too, if their ID is lower:
	// with At and ID of the last record of a page the next one begins, as
	// [RunFilter.Older] sets them.
	BeforeID int64 `json:",omitzero"`
	// AfterID, if it is not zero, selects records with larger IDs. They come in the
	// order in which they were appended, the earliest first: so a history is
	// followed.
	AfterID int64 `json:",omitzero"`
	// Limit is the largest number of records returned; zero means
	// [DefaultRunLimit].
	Limit int `json:",omitzero"`
}

// Older returns the filter of the page after the one that ends with last.
func (f *RunFilter) Older(last *Record) RunFilter {
	older := *f
	older.Before, older.BeforeID = last.At, last.ID
	return older
}

// Selects reports whether the filter selects the record, whatever its limit.
// That a record is not the latest about what is under way it cannot know.
func (f *RunFilter) Selects(r *Record) bool {
	return f.selectsJob(r) && f.selectsRun(r) && f.selectsTime(r) &&
		(!f.UnderWay || isUnderWay(r)) &&
		(f.Replica == "" || f.Replica == r.Replica) &&
		(len(f.Events) == 0 || slices.Contains(f.Events, r.Event))
}

// Selector returns a function that does what [RunFilter.Selects] does, and does not get
// slower with the number of runs and job ids. The filter is not to be changed.
func (f *RunFilter) Selector() func(*Record) bool {
	if len(f.JobIDs) < 2 && len(f.Runs) < 2 {
		return f.Selects
	}
	ids, runs := setOf(f.JobIDs), setOf(f.Runs)
	others := *f
	others.JobIDs, others.Runs = nil, nil
	return func(r *Record) bool {
		return (len(ids) == 0 || r.JobID != "" && ids[r.JobID]) &&
			(len(runs) == 0 || r.Run.Origin != "" && runs[r.Run]) &&
			others.Selects(r)
	}
}

func setOf[T comparable](values []T) map[T]bool {
	set := make(map[T]bool, len(values))
	for _, v := range values {
		set[v] = true
	}
	return set
}

func isUnderWay(r *Record) bool {
	underWay, _ := r.Event.UnderWay()
	return underWay && r.IsDecision()
}

func (f *RunFilter) selectsRun(r *Record) bool {
	return (f.Job == "" || f.Job == r.Run.Job) &&
		(len(f.Runs) == 0 || r.Run.Origin != "" && slices.Contains(f.Runs, r.Run)) &&
		(f.Tick.IsZero() || r.isAbout(f.Tick)) &&
		(len(f.Origins) == 0 || slices.Contains(f.Origins, r.Run.Origin))
}

// isAbout reports whether the record is about the tick planned at that
// instant.
func (r *Record) isAbout(tick time.Time) bool {
	ms := tick.UnixMilli()
	switch r.Run.Origin {
	case OriginSchedule, OriginBackfill:
		return r.Run.PlannedMS == ms || !r.Until.IsZero() && r.Run.PlannedMS <= ms && ms <= r.Until.UnixMilli()
	case OriginManual, OriginStart:
	}
	return false
}

func (f *RunFilter) selectsJob(r *Record) bool {
	return (len(f.JobIDs) == 0 || r.JobID != "" && slices.Contains(f.JobIDs, r.JobID)) &&
		(f.Queue == "" || f.Queue == r.Queue) &&
		(f.JobName == "" || f.JobName == r.JobName) &&
		!slices.ContainsFunc(f.Fields, func(field Field) bool { return !slices.Contains(r.Fields, field) })
}

func (f *RunFilter) selectsTime(r *Record) bool {
	return (f.Since.IsZero() || !r.At.Before(f.Since)) &&
		(f.Before.IsZero() || r.At.Before(f.Before) || r.At.Equal(f.Before) && r.ID < f.BeforeID) &&
		r.ID > f.AfterID
}

// RunRetention says which records are kept.
type RunRetention struct {
	// Since is the moment from which on records are kept; zero keeps old ones.
	Since time.Time
	// Count is how many of the newest are kept; zero keeps any number.
	Count int
}
