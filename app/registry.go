package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// RegistrationError holds every mistake of the features of a worker.
type RegistrationError struct{ Problems []string }

// Error has one line for each mistake.
func (e *RegistrationError) Error() string {
	return "registration: " + strings.Join(e.Problems, "\nregistration: ")
}

// registry is what all features contribute, checked.
type registry struct {
	settings Settings
	queues   []string
	jobs     []registeredJob
	handlers []Handler
	// conditions are those of features, by name.
	conditions map[string]Condition
	around     []Middleware
	problems   []string
	warnings   []string

	crons schedule.Parser
	names map[string]string
	known map[string]bool
}

// registeredJob is a scheduled job as it will run and as it is listed.
type registeredJob struct {
	runner.ScheduledJob
	info JobInfo
}

// newRegistry gathers and checks the contributions. Features come in no
// particular order, so everything is sorted by name.
func newRegistry(settings Settings, contributed []Contribution, around []Middleware) (*registry, error) {
	r := &registry{settings: settings, around: around, names: map[string]string{}, known: map[string]bool{}, conditions: map[string]Condition{}}
	slices.SortFunc(contributed, func(a, b Contribution) int { return strings.Compare(a.feature, b.feature) })
	r.checkSettings()
	r.checkFeatures(contributed)
	r.declare("settings", append([]string{settings.DefaultQueue}, settings.Queues...)...)
	for _, c := range contributed {
		r.declare("feature "+c.feature, c.Queues...)
	}
	for _, c := range contributed {
		if c.Condition != nil {
			r.conditions[c.feature] = c.Condition
		}
		for _, job := range c.Jobs {
			job.feature = c.feature
			r.addJob(job)
		}
		for _, handler := range c.Handlers {
			handler.feature = c.feature
			r.addHandler(handler)
		}
	}
	slices.SortFunc(r.jobs, func(a, b registeredJob) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(r.queues)
	slices.Sort(r.warnings)
	if len(r.problems) > 0 {
		return nil, &RegistrationError{Problems: r.problems}
	}
	return r, nil
}

func (r *registry) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// checkFeatures reports features without a name, of one name, and of a wrong
// shape. Features of one name would be in no certain order.
func (r *registry) checkFeatures(contributed []Contribution) {
	for i, c := range contributed {
		switch {
		case c.feature == "":
			r.problem("a feature has no name")
		case i > 0 && c.feature == contributed[i-1].feature:
			r.problem("feature %s is registered twice", c.feature)
		case c.problem != "":
			r.problem("feature %s: %s", c.feature, c.problem)
		}
	}
	if slices.ContainsFunc(r.around, isNil) {
		r.problem("a middleware of the worker is nil")
	}
}

func isNil(middleware Middleware) bool { return middleware == nil }

func (r *registry) declare(by string, queues ...string) {
	for _, name := range queues {
		if err := domain.QueueName(name).Validate(); err != nil {
			r.problem("%s: %s", by, err)
			continue
		}
		if !r.known[name] {
			r.known[name] = true
			r.queues = append(r.queues, name)
		}
	}
}

// undeclared says that no feature declares the queue, and which are declared.
func (r *registry) undeclared(queue string) string {
	known := slices.Sorted(slices.Values(r.queues))
	return fmt.Sprintf("queue %s is declared by no feature; declared are: %s", domain.Quote(queue), strings.Join(known, ", "))
}

// once reports whether the name is new among its kind, and if it is not names
// both registrations.
func (r *registry) once(kind, name, by string) bool {
	key := kind + " " + domain.Quote(name)
	if first, taken := r.names[key]; taken {
		r.problem("%s is registered twice: by %s and by %s", key, first, by)
		return false
	}
	r.names[key] = by
	return true
}

func (r *registry) addHandler(h Handler) {
	by, before := "feature "+h.feature, len(r.problems)
	if h.queue == "" {
		h.queue = r.settings.DefaultQueue
	}
	what := fmt.Sprintf("%s: handler of job %s on queue %s", by, domain.Quote(h.name), domain.Quote(h.queue))
	switch err := domain.ValidateJobName(h.name); {
	case err != nil:
		r.problem("%s: %s", by, err)
		return
	case h.handler == nil:
		r.problem("%s: the function is nil", what)
	case slices.ContainsFunc(h.around, isNil):
		r.problem("%s: a middleware is nil", what)
	case !r.known[h.queue]:
		r.problem("%s: %s", what, r.undeclared(h.queue))
	case h.timeout != nil && *h.timeout <= 0:
		r.problem("%s: %s", what, badTimeout(*h.timeout))
	}
	r.checkFields(what, h.fields)
	r.checkRetries(what, h)
	if r.once("handler on queue "+domain.Quote(h.queue)+" of job", h.name, by+describeMethod(h.method)) && len(r.problems) == before {
		r.handlers = append(r.handlers, h)
	}
}

// Bounds of the paths that a handler chooses.
const (
	maxHistoryFields = 16
	maxHistoryPath   = 256
)

func (r *registry) checkFields(what string, paths []string) {
	if len(paths) > maxHistoryFields {
		r.problem("%s: %d history fields, at most %d are allowed", what, len(paths), maxHistoryFields)
	}
	for _, path := range paths {
		if len(path) > maxHistoryPath || slices.Contains(strings.Split(path, "."), "") || domain.CleanText(path, maxHistoryPath) != path {
			r.problem("%s: history field %s is no path; names of members and indices with dots between them are, such as customer.id, up to %d bytes",
				what, domain.Quote(path), maxHistoryPath)
		}
	}
}

// checkRetries reports what is wrong with a handler's back-offs and its bound
// of starts.
func (r *registry) checkRetries(what string, h Handler) {
	if h.starts != nil && *h.starts < 1 {
		r.problem("%s: at most %d starts; at least 1 is needed", what, *h.starts)
	}
	seen := map[string]bool{}
	for _, b := range h.backoffs {
		switch kind := domain.Quote(b.kind); {
		case domain.BackoffKind(b.kind).Known():
			r.problem("%s: backoff %s is no name of its own; %q and %q are built in", what, kind, domain.BackoffFixed, domain.BackoffExponential)
		case b.wait == nil:
			r.problem("%s: the function of backoff %s is nil", what, kind)
		case seen[b.kind]:
			r.problem("%s: backoff %s is registered twice", what, kind)
		}
		seen[b.kind] = true
	}
}

func describeMethod(method string) string {
	if method == "" {
		return ""
	}
	return " (" + method + ")"
}

// workedQueues returns the queues that have handlers, with their routes.
func (r *registry) workedQueues() []runner.Queue {
	routes := map[string]map[string]runner.Route{}
	for _, h := range r.handlers {
		if routes[h.queue] == nil {
			routes[h.queue] = map[string]runner.Route{}
		}
		route := runner.Route{Handler: r.wrap(h), HistoryFields: h.fields}
		override(&route.Timeout, h.timeout)
		override(&route.MaxStarts, h.starts)
		for _, b := range h.backoffs {
			if route.Backoffs == nil {
				route.Backoffs = map[domain.BackoffKind]runner.BackoffFunc{}
			}
			route.Backoffs[domain.BackoffKind(b.kind)] = b.wait
		}
		routes[h.queue][h.name] = route
	}
	var queues []runner.Queue
	for _, name := range r.queues {
		if routes[name] != nil {
			queues = append(queues, runner.Queue{
				Name: domain.QueueName(name), Concurrency: r.settings.Concurrency, Routes: routes[name],
			})
		}
	}
	return queues
}

// wrap puts the middleware around a handler, the worker's outside the
// handler's own.
func (r *registry) wrap(h Handler) ports.Handler {
	handler := h.handler
	for _, around := range [][]Middleware{h.around, r.around} {
		for _, middleware := range slices.Backward(around) {
			handler = middleware(handler)
		}
	}
	return handler
}

// scheduledJobs returns the jobs as the runner takes them.
func (r *registry) scheduledJobs() []runner.ScheduledJob {
	jobs := make([]runner.ScheduledJob, len(r.jobs))
	for i, job := range r.jobs {
		jobs[i] = job.ScheduledJob
	}
	return jobs
}
