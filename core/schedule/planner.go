package schedule

import (
	"math"
	"time"
)

// Planned is a job as the planner takes it.
type Planned struct {
	// ID names the job; it is unique within a planner.
	ID       string
	Schedule Schedule
	// Cursor is the latest instant already decided: no instant up to it is ever due.
	Cursor time.Time
}

// Due is what one job missed or reached: the instants of Schedule in
// (Cursor, Latest]. Normally that is one instant, and First equals Latest.
type Due struct {
	ID       string
	Schedule Schedule
	// Cursor is the cursor before these instants, First and Latest the first
	// and the last of them, and Count their number.
	Cursor, First, Latest time.Time
	Count                 int64
}

// Planner knows which of many schedules is due next. It computes instants and
// never observes them: how late or how often Due is called changes nothing
// about which instants there are. Each is handed out once, whatever the clock
// does, because a job's cursor only moves forward.
//
// The work of a wake is bounded by the number of jobs that are due, not by the
// time since the last one. The zero value is ready. A Planner is not safe for
// concurrent use; its owner serialises the calls.
type Planner struct {
	slots map[string]int32
	jobs  []Planned
	free  []int32
	queue queue
}

// Len returns the number of jobs that have an instant to come.
func (p *Planner) Len() int { return len(p.slots) }

// Set adds a job, or replaces the schedule and the cursor of one. It reports
// whether the job is planned; one without an instant after its cursor is not,
// and is removed if it was.
func (p *Planner) Set(job Planned) bool {
	next := job.Schedule.Next(job.Cursor)
	if next.IsZero() {
		p.Remove(job.ID)
		return false
	}
	if slot, ok := p.slots[job.ID]; ok {
		p.jobs[slot] = job
		p.queue.move(slot, key(next))
		return true
	}
	p.queue.push(p.take(job), key(next))
	return true
}

// Load sets many jobs at once, faster than one by one. Of several with one ID
// the last counts.
func (p *Planner) Load(jobs []Planned) {
	if len(p.slots) > 0 {
		for _, job := range jobs {
			p.Set(job)
		}
		return
	}
	p.slots = make(map[string]int32, len(jobs))
	p.jobs = make([]Planned, 0, len(jobs))
	p.free = nil
	p.queue.grow(len(jobs))
	for _, job := range jobs {
		p.Set(job)
	}
}

// take finds a slot for a job.
func (p *Planner) take(job Planned) int32 {
	if p.slots == nil {
		p.slots = make(map[string]int32)
	}
	slot := int32(len(p.jobs)) //nolint:gosec // Two thousand million jobs do not fit in memory.
	if n := len(p.free); n > 0 {
		slot, p.free = p.free[n-1], p.free[:n-1]
		p.jobs[slot] = job
	} else {
		p.jobs = append(p.jobs, job)
	}
	p.slots[job.ID] = slot
	return slot
}

// Remove takes a job out and reports whether it was planned.
func (p *Planner) Remove(id string) bool {
	slot, ok := p.slots[id]
	if !ok {
		return false
	}
	p.queue.remove(slot)
	delete(p.slots, id)
	p.jobs[slot] = Planned{}
	p.free = append(p.free, slot)
	return true
}

// Cursor returns the cursor of a job, and whether the job is planned.
func (p *Planner) Cursor(id string) (time.Time, bool) {
	slot, ok := p.slots[id]
	if !ok {
		return time.Time{}, false
	}
	return p.jobs[slot].Cursor, true
}

// SetCursor moves the cursor of a job forward, for instance to an instant that
// another replica has claimed. It reports whether the cursor moved: it never
// goes back, only Set can do that. A job without an instant after its cursor is
// removed.
func (p *Planner) SetCursor(id string, cursor time.Time) bool {
	slot, ok := p.slots[id]
	if !ok || !cursor.After(p.jobs[slot].Cursor) {
		return false
	}
	p.advance(slot, cursor, p.jobs[slot].Schedule.Next(cursor))
	return true
}

// Due calls emit once for every job with instants up to now, in the order of
// their first ones, and moves the cursors of these jobs to their latest. Emit
// may call the planner.
func (p *Planner) Due(now time.Time, emit func(Due)) {
	limit := key(now)
	for p.queue.len() > 0 {
		slot, first := p.queue.first()
		if first > limit {
			return
		}
		job := &p.jobs[slot]
		due := Due{ID: job.ID, Schedule: job.Schedule, Cursor: job.Cursor, First: instant(first), Count: 1}
		if first == math.MinInt64 || first == math.MaxInt64 {
			if due.First = job.Schedule.Next(job.Cursor); due.First.After(now) {
				return
			}
		}
		next := due.extend(now)
		p.advance(slot, due.Latest, next)
		emit(due)
	}
}

// extend takes in what else is due at now and returns the instant after it.
func (d *Due) extend(now time.Time) time.Time {
	d.Latest = d.First
	next := d.Schedule.Next(d.First)
	if next.IsZero() || next.After(now) {
		return next
	}
	d.Latest = Latest(d.Schedule, d.First, now)
	d.Count += d.Schedule.Count(d.First, d.Latest)
	return d.Schedule.Next(d.Latest)
}

// NextDeadline returns the earliest instant planned, which may have passed, or
// the zero time when there is none.
func (p *Planner) NextDeadline() time.Time {
	if p.queue.len() == 0 {
		return time.Time{}
	}
	_, first := p.queue.first()
	return instant(first)
}

// advance moves a job to its next instant; a job without one is removed.
func (p *Planner) advance(slot int32, cursor, next time.Time) {
	if next.IsZero() {
		p.Remove(p.jobs[slot].ID)
		return
	}
	p.jobs[slot].Cursor = cursor
	p.queue.move(slot, key(next))
}

// key turns an instant into what the heap sorts by. Instants outside the years
// 1678 to 2261, which nanoseconds cannot count, are moved to that border: they
// are not due before it.
func key(t time.Time) int64 {
	const border = math.MaxInt64 / int64(time.Second)
	switch s := t.Unix(); {
	case s >= border:
		return math.MaxInt64
	case s <= -border:
		return math.MinInt64
	}
	return t.UnixNano()
}

func instant(key int64) time.Time { return time.Unix(0, key).UTC() }
