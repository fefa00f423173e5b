package runner

import (
	"maps"

	"github.com/taktwork/takt/core/domain"
)

// Withhold disables scheduled jobs, and takes the handlers of jobs, by name,
// from queues: jobs of such a name are then unknown ones here. It is for what
// turns out, after [New], not to be possible, and must be called before
// [Runner.Start]; names that the runner has not are left alone.
func (r *Runner) Withhold(jobs []string, routes map[domain.QueueName][]string) {
	if r.scheduler != nil {
		r.scheduler.disable(jobs)
	}
	var left []Queue
	for _, queue := range r.queues {
		queue.Routes = maps.Clone(queue.Routes)
		for _, name := range routes[queue.Name] {
			delete(queue.Routes, name)
		}
		if len(queue.Routes) > 0 {
			left = append(left, queue)
		}
	}
	r.queues = left
}

func (s *scheduler) disable(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if job := s.jobs[name]; job != nil {
			job.Disabled = true
		}
	}
}
