package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

// replicaAt is what a replica made of the job at the tick.
type replicaAt struct {
	name       string
	definition domain.Record
	alive      bool
}

// replicasAt returns the replicas that had registered the job by the tick,
// the latest to register last.
func (e *Evidence) replicasAt(at, now time.Time) []replicaAt {
	var all []replicaAt
	for _, l := range e.lives(at) {
		if record := e.definitionOf(&l); record != nil {
			all = append(all, replicaAt{name: l.replica, definition: *record, alive: e.lived(l.replica, at, now)})
		}
	}
	slices.SortStableFunc(all, func(a, b replicaAt) int { return a.definition.At.Compare(b.definition.At) })
	return all
}

// life is what a replica was by its signs of life.
type life struct {
	replica string
	// catalog stands for its definitions; empty if no sign tells it.
	catalog string
	// since is when it started.
	since time.Time
}

// lives returns the lives around the tick of all replicas that are known.
func (e *Evidence) lives(at time.Time) []life {
	var all []life
	know := func(replica string) *life {
		i := slices.IndexFunc(all, func(l life) bool { return l.replica == replica })
		if i < 0 {
			all = append(all, life{replica: replica})
			i = len(all) - 1
		}
		return &all[i]
	}
	for i := range e.Definitions {
		know(e.Definitions[i].Replica)
	}
	for i := range e.Presence {
		sign := &e.Presence[i]
		if l := know(sign.Replica); l.since.IsZero() || !sign.At.After(at) {
			*l = lifeBy(sign)
		}
	}
	return all
}

func lifeBy(sign *domain.Record) life {
	return life{replica: sign.Replica, catalog: sign.By, since: sign.At.Add(-sign.Took)}
}

// has reports whether the record tells a definition that the replica had: its
// own, or that of one with the same definitions.
func (l *life) has(record *domain.Record) bool {
	if l.catalog != "" && record.By != "" {
		return record.By == l.catalog
	}
	return record.Replica == l.replica
}

// definitionOf returns the record of the definition that the replica had at the
// tick, or the one which tells that it planned it no more; nil if none is known.
func (e *Evidence) definitionOf(l *life) (definition *domain.Record) {
	var superseded *domain.Record
	for i := range e.Definitions {
		record := &e.Definitions[i]
		own := record.Replica == l.replica
		switch {
		case !l.has(record):
		case record.Reason != domain.ReasonSuperseded:
			definition = record
			if own {
				superseded = nil
			}
		case own && !record.At.Before(l.since):
			superseded = record
		}
	}
	if superseded != nil {
		return superseded
	}
	return definition
}

// lived reports whether the replica lived at the instant: whether it gave signs
// of life around it, or gave one before it that is not old yet at now.
func (e *Evidence) lived(replica string, at, now time.Time) bool {
	var before, after *domain.Record
	for i := range e.Presence {
		sign := &e.Presence[i]
		switch {
		case sign.Replica != replica:
		case !sign.At.After(at):
			before = sign
		case after == nil:
			after = sign
		}
	}
	// Whoever goes on or stops has lived before, whoever starts has not.
	goesOn := after != nil && after.Event != domain.EventWorkerStarted
	switch {
	case before == nil:
		return goesOn && after.At.Sub(at) <= gone
	case before.Event == domain.EventWorkerStopped:
		return false
	case goesOn:
		return after.At.Sub(before.At) <= gone
	}
	return now.Sub(before.At) <= gone
}

// definition is what was valid at the tick.
type definition struct {
	schedule schedule.Schedule
	text     string
	// since is when it was registered, by whom; zero if only the asker knows it.
	since    time.Time
	replica  string
	disabled bool
	known    bool
}

// valid returns the definition that was valid at the tick: the latest one of a
// replica that lived then, or, if none did, of any; and the asker's own if
// nobody registered one.
func (e *Evidence) valid(q *Question) definition {
	replicas := e.replicasAt(q.At, q.Now)
	if alive := slices.DeleteFunc(slices.Clone(replicas), func(r replicaAt) bool { return !r.alive }); len(alive) > 0 {
		replicas = alive
	}
	var disabled *domain.Record
	for _, r := range slices.Backward(replicas) {
		switch r.definition.Reason {
		case domain.ReasonSuperseded:
			continue
		case domain.ReasonDisabled:
			if disabled == nil {
				disabled = &r.definition
			}
			continue
		}
		return definitionOf(&r.definition)
	}
	if disabled != nil {
		return definitionOf(disabled)
	}
	if !q.Known.Registered {
		return definition{}
	}
	return definition{
		schedule: q.Known.Schedule, text: schedule.Text(q.Known.Schedule), disabled: q.Known.Disabled, known: true,
	}
}

func definitionOf(record *domain.Record) definition {
	// A text that cannot be read is that of a schedule this version does not know.
	s, err := schedule.ParseText(record.Schedule)
	if err != nil {
		s = nil
	}
	return definition{
		schedule: s, text: record.Schedule, since: record.At, replica: record.Replica,
		disabled: record.Reason == domain.ReasonDisabled, known: err == nil || record.Schedule == "",
	}
}

// plans reports whether the instant is one of the schedule's.
func plans(s schedule.Schedule, at time.Time) bool {
	return s != nil && s.Next(at.Add(-time.Nanosecond)).Equal(at)
}

// other returns a definition that plans the tick although it was not valid
// then: an earlier one that had ended, or one that came later.
func (e *Evidence) other(q *Question, valid definition) (found definition, later, ok bool) {
	for _, record := range slices.Backward(e.Definitions) {
		if d := definitionOf(&record); record.Schedule != valid.text && plans(d.schedule, q.At) {
			return d, false, true
		}
	}
	for _, record := range e.Later {
		if d := definitionOf(&record); record.Schedule != valid.text && plans(d.schedule, q.At) {
			return d, true, true
		}
	}
	if known := q.Known; known.Registered && plans(known.Schedule, q.At) && schedule.Text(known.Schedule) != valid.text {
		return definition{schedule: known.Schedule, text: schedule.Text(known.Schedule), known: true}, true, true
	}
	return definition{}, false, false
}

// paused returns since when the job was paused at the tick; zero if it was not.
func (e *Evidence) paused() time.Time {
	var since time.Time
	for _, record := range e.Pauses {
		switch {
		case record.Event == domain.EventJobResumed:
			since = time.Time{}
		case since.IsZero():
			since = record.At
		}
	}
	return since
}

// outage is a time in which no replica that has the job lived.
type outage struct {
	// from is the last sign of life before, of the replica last; until the
	// first one after, of first. Either is zero if there is none.
	from, until time.Time
	last, first string
	// stopped tells that the replica was stopped, and did not just vanish.
	stopped bool
	// resumed tells that the first one after had not started anew: it had been
	// frozen or cut off.
	resumed bool
	// others tells that replicas without the job lived.
	others bool
}

// outage returns the outage that the tick lies in, and whether it lies in one.
func (e *Evidence) outage(at, now time.Time) (outage, bool) {
	var o outage
	for i := range e.Presence {
		sign := &e.Presence[i]
		switch alive := e.lived(sign.Replica, at, now); {
		case !e.knowsJob(sign):
			o.others = o.others || alive
		case alive:
			return outage{}, false
		case !sign.At.After(at):
			o.from, o.last, o.stopped = sign.At, sign.Replica, sign.Event == domain.EventWorkerStopped
		case o.until.IsZero():
			o.until, o.first, o.resumed = sign.At, sign.Replica, sign.Event != domain.EventWorkerStarted
		}
	}
	return o, !o.from.IsZero() || !o.until.IsZero()
}

// knowsJob reports whether the replica that gave the sign had the job, so far as
// is known.
func (e *Evidence) knowsJob(sign *domain.Record) bool {
	l := lifeBy(sign)
	has := func(record domain.Record) bool { return l.has(&record) }
	return len(e.Definitions)+len(e.Later) == 0 || slices.ContainsFunc(e.Later, has) ||
		slices.ContainsFunc(e.Definitions, func(r domain.Record) bool { return r.Reason != domain.ReasonDisabled && has(r) })
}

func (o *outage) cause(x *explainer) Cause {
	who := "no worker lived"
	if o.others {
		who = "no worker that has the job lived"
	}
	began := "gave its last sign of life"
	if o.stopped {
		began = "stopped"
	}
	ended := "started"
	if o.resumed {
		ended = "gave signs of life again"
	}
	cause := Cause{Code: CodeDown, At: o.from, Until: o.until, Replica: o.last}
	switch {
	case o.from.IsZero():
		cause.Text = fmt.Sprintf("%s before %s, when %s %s, so far as is recorded", who, x.clock(o.until), o.first, ended)
	case o.until.IsZero():
		cause.Text = fmt.Sprintf("%s since %s, when %s %s", who, x.clock(o.from), o.last, began)
	default:
		cause.Text = fmt.Sprintf("%s from %s, when %s %s, to %s, when %s %s",
			who, x.clock(o.from), o.last, began, x.clock(o.until), o.first, ended)
	}
	return cause
}
