package inmemqueue_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// modelJob is a job of the naive model: one slice of jobs, every question
// answered by looking at all of them.
type modelJob struct {
	id       domain.JobID
	options  domain.JobOptions
	state    domain.State
	place    int // Order within its rank, smaller first.
	due      time.Time
	token    domain.LeaseToken
	leaseEnd time.Time
	made     int
	started  int
	crashes  int
	finished int // Order in which jobs finished.
}

type modelKey struct {
	owner domain.JobID
	ends  time.Time
}

type modelNext struct {
	id      domain.JobID
	options domain.JobOptions
}

type queueModel struct {
	jobs         []*modelJob
	keys         map[string]modelKey
	following    map[string]modelNext
	last, first  int
	lastID       int
	finished     int
	paused       bool
	limitedUntil time.Time
}

func (m *queueModel) line(j *modelJob, front bool) {
	j.state = domain.StateWait
	if j.options.Priority > 0 {
		j.state = domain.StatePrioritized
	}
	m.last++
	j.place = m.last
	if front {
		m.first--
		j.place = m.first
	}
}

func (m *queueModel) delay(j *modelJob, state domain.State, d time.Duration) {
	m.last++
	j.state, j.place, j.due = state, m.last, time.Now().Add(d)
}

func (m *queueModel) inState(states ...domain.State) []*modelJob {
	var jobs []*modelJob
	for _, j := range m.jobs {
		if slices.Contains(states, j.state) {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

func (m *queueModel) advance() {
	due := m.inState(domain.StateDelayed, domain.StateParked)
	slices.SortFunc(due, func(a, b *modelJob) int { return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.place, b.place)) })
	for _, j := range due {
		if !j.due.After(time.Now()) {
			m.line(j, false)
		}
	}
	for key, hold := range m.keys {
		if !hold.ends.IsZero() && !hold.ends.After(time.Now()) {
			delete(m.keys, key)
		}
	}
}

func (m *queueModel) next() *modelJob {
	if m.paused || m.limitedUntil.After(time.Now()) {
		return nil
	}
	ready := m.inState(domain.StateWait, domain.StatePrioritized)
	if len(ready) == 0 {
		return nil
	}
	return slices.MinFunc(ready, func(a, b *modelJob) int {
		return cmp.Or(cmp.Compare(a.options.Priority, b.options.Priority), cmp.Compare(a.place, b.place))
	})
}

func (m *queueModel) find(id domain.JobID) *modelJob {
	for _, j := range m.jobs {
		if j.id == id {
			return j
		}
	}
	return nil
}

// add files a job, which takes its key.
func (m *queueModel) add(id domain.JobID, options domain.JobOptions) {
	j := &modelJob{id: id, options: options}
	m.jobs = append(m.jobs, j)
	if d := options.Deduplication; d.Key != "" {
		hold := modelKey{owner: id}
		if d.TTL > 0 {
			hold.ends = time.Now().Add(d.TTL)
		}
		if before, held := m.keys[d.Key]; held && d.Mode == domain.DedupReplace && d.TTL > 0 {
			hold.ends = before.ends
		}
		m.keys[d.Key] = hold
	}
	if options.Delay > 0 {
		m.delay(j, domain.StateDelayed, options.Delay)
		return
	}
	m.line(j, options.LIFO)
}

// deduplicate answers a job whose key is held: whether it comes in the place of
// the owner, which is removed then, and whether it is kept to follow it.
func (m *queueModel) deduplicate(options domain.JobOptions) (replaces, kept bool) {
	d := options.Deduplication
	hold := m.keys[d.Key]
	owner := m.find(hold.owner)
	delayed := owner != nil && (owner.state == domain.StateDelayed || owner.state == domain.StateParked)
	switch d.Mode {
	case domain.DedupReplace, domain.DedupDebounce, domain.DedupReplaceOrKeepLast:
		if delayed {
			m.remove(owner.id)
			delete(m.following, d.Key)
			return true, false
		}
	case domain.DedupExtend:
		m.keys[d.Key] = modelKey{owner: hold.owner, ends: time.Now().Add(d.TTL)}
	case domain.DedupReschedule:
		if delayed {
			m.delay(owner, domain.StateDelayed, options.Delay)
		}
	case domain.DedupDrop, domain.DedupKeepLast:
	}
	if d.Mode.KeepsLast() && owner != nil && owner.state == domain.StateActive {
		m.keys[d.Key] = modelKey{owner: hold.owner}
		return false, true
	}
	return false, false
}

func (m *queueModel) remove(id domain.JobID) {
	m.jobs = slices.DeleteFunc(m.jobs, func(j *modelJob) bool { return j.id == id })
}

func (m *queueModel) finish(j *modelJob, state domain.State, keep domain.Retention) {
	if key := j.options.Deduplication.Key; key != "" && m.keys[key].owner == j.id && m.keys[key].ends.IsZero() {
		delete(m.keys, key)
	}
	if next, kept := m.following[j.options.Deduplication.Key]; kept {
		delete(m.following, j.options.Deduplication.Key)
		if m.find(next.id) == nil {
			defer m.add(next.id, next.options)
		}
	}
	m.finished++
	j.state, j.finished = state, m.finished
	if keep == domain.KeepNone() {
		m.remove(j.id)
		return
	}
	done := m.inState(state)
	slices.SortFunc(done, func(a, b *modelJob) int { return a.finished - b.finished })
	for i := 0; keep.Limited && i < len(done)-keep.Count; i++ {
		m.remove(done[i].id)
	}
}
