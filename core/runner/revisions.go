package runner

import "github.com/taktwork/takt/core/domain"

// With a new release the definitions of very many jobs are superseded at once, or
// valid again. The log tells of all in a line, and the history as it takes them in:
// they shed no decisions.

// recordSuperseded records which jobs this replica does not plan.
func (s *scheduler) recordSuperseded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.names {
		if job := s.jobs[name]; job.state.Superseded {
			s.revise(job)
		}
	}
	s.recordRevisions()
}

// revise has the history told whether this replica's definition of the job is the
// one that is planned; it is called with mu held.
func (s *scheduler) revise(job *jobState) {
	if !job.revised {
		job.revised = true
		s.revised = append(s.revised, job)
	}
}

// tellRevisions tells of the jobs whose definition was superseded, or is valid
// again.
func (s *scheduler) tellRevisions() {
	s.mu.Lock()
	s.recordRevisions()
	superseded, valid := s.takeUntold()
	s.mu.Unlock()
	if superseded.count > 0 {
		s.ports.Log.WarnContext(s.quieting, "a newer definition of the job is live: this replica stops planning it", superseded.attrs()...)
	}
	if valid.count > 0 {
		s.ports.Log.WarnContext(s.quieting, "this replica's definition of the job is valid again", valid.attrs()...)
	}
}

// recordRevisions records what the history has room for; the rest comes with the
// next news. It is called with mu held.
func (s *scheduler) recordRevisions() {
	for len(s.revised) > 0 {
		next := s.revised[:min(len(s.revised), definitionsAtOnce)]
		records := make([]domain.Record, len(next))
		for i, job := range next {
			records[i] = s.definitionOf(job)
			if job.state.Superseded && !job.Disabled {
				records[i].Reason = domain.ReasonSuperseded
			}
		}
		if !s.journal.Offer(records) {
			return
		}
		s.journal.logRecords(records)
		for _, job := range next {
			job.revised = false
		}
		s.revised = append(s.revised[:0], s.revised[len(next):]...)
	}
	s.revised = nil
}

// revisions are so many jobs that have one thing in common.
type revisions struct {
	first    string
	revision uint64
	count    int
}

// takeUntold returns the jobs that the log does not know of; it is called with mu
// held.
func (s *scheduler) takeUntold() (superseded, valid revisions) {
	for _, job := range s.untold {
		kind := &valid
		if job.state.Superseded {
			kind = &superseded
		}
		if kind.count++; kind.count == 1 {
			kind.first, kind.revision = job.Name, job.state.Revision
		}
	}
	s.untold = nil
	return superseded, valid
}

// attrs are those of the line about the jobs.
func (r revisions) attrs() []any {
	attrs := []any{"job", r.first, "revision", r.revision}
	if r.count > 1 {
		attrs = append(attrs, "count", r.count)
	}
	return attrs
}
