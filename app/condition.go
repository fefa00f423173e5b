package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// Condition says whether a feature can work here: nil if it can, an error made
// by [Skip] if it cannot, with the reason. Any other error fails the start.
type Condition func(ctx context.Context) error

// withhold asks the features' conditions. Of a feature that cannot work the
// scheduled jobs are disabled and the handlers left out until the worker starts
// anew; one line of the log says why.
func (e *engine) withhold(ctx context.Context) error {
	withheld := map[string]bool{}
	for _, feature := range slices.Sorted(maps.Keys(e.registry.conditions)) {
		err := call(ctx, e.registry.conditions[feature])
		if skip, ok := errors.AsType[*domain.SkipError](err); ok {
			e.log.InfoContext(ctx, "feature withheld", "feature", feature, "reason", domain.CleanText(skip.Reason, domain.MaxReason))
			withheld[feature] = true
		} else if err != nil {
			return fmt.Errorf("condition of feature %s: %w", feature, err)
		}
	}
	if len(withheld) == 0 {
		return nil
	}
	jobs, routes := e.registry.namesOf(withheld)
	e.runner.Withhold(jobs, routes)
	e.withheld.Store(&withheld)
	return nil
}

// namesOf returns the scheduled jobs of the features, and the jobs that they
// handle, by queue.
func (r *registry) namesOf(features map[string]bool) (jobs []string, routes map[domain.QueueName][]string) {
	for i := range r.jobs {
		if job := &r.jobs[i]; features[job.info.ProviderName] {
			jobs = append(jobs, job.Name)
		}
	}
	routes = map[domain.QueueName][]string{}
	for _, h := range r.handlers {
		if features[h.feature] {
			queue := domain.QueueName(h.queue)
			routes[queue] = append(routes[queue], h.name)
		}
	}
	return jobs, routes
}
