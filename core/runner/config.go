package runner

import (
	"context"
	"log/slog"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/schedule"
)

// Config says how a runner works. Fields left zero take the defaults that
// their docs name.
type Config struct {
	// Namespace is part of every run's identity; default "default".
	Namespace string
	// Replica names this process among all that share the ledger; required.
	Replica string
	// DeployID is what runs on start of policy once-per-deploy run once for.
	DeployID string
	// Unknown says what becomes of jobs without a handler; default park.
	Unknown UnknownPolicy
	// MaxPayload bounds the payloads and results that handlers return, in
	// bytes; default 256 KiB.
	MaxPayload int
	// HistoryCount and HistoryAge are how many records the history keeps and for
	// how long; zero means that it keeps all.
	HistoryCount int
	HistoryAge   time.Duration
	Timing       Timing
}

// Timing holds the runner's intervals. They are independent of load.
type Timing struct {
	// Sync is how often the ledger is asked for news; default 500 ms.
	Sync time.Duration
	// ClaimLease is how long a claim lasts unless renewed, which happens
	// three times per lease; default 15 s.
	ClaimLease time.Duration
	// JobLease is how long a job is leased unless extended, which happens
	// three times per lease; default 30 s.
	JobLease time.Duration
	// Recover is how often jobs whose leases ran out are looked for; default 15 s.
	Recover time.Duration
	// MisfireAfter is how late a tick may be before the misfire policy
	// decides about it; default 10 s.
	MisfireAfter time.Duration
	// Stuck is how long after the end of its context a handler may go on
	// before it is reported with its stack; default 5 s.
	Stuck time.Duration
}

const (
	defaultSync         = 500 * time.Millisecond
	defaultClaimLease   = 15 * time.Second
	defaultJobLease     = 30 * time.Second
	defaultRecover      = 15 * time.Second
	defaultMisfireAfter = 10 * time.Second
	defaultStuck        = 5 * time.Second
	defaultMaxPayload   = 256 << 10
)

func (c Config) withDefaults() Config {
	c.Namespace = orDefault(c.Namespace, domain.DefaultNamespace)
	c.Unknown = orDefault(c.Unknown, UnknownPark)
	c.MaxPayload = orDefault(c.MaxPayload, defaultMaxPayload)
	c.Timing = Timing{
		Sync:         orDefault(c.Timing.Sync, defaultSync),
		ClaimLease:   orDefault(c.Timing.ClaimLease, defaultClaimLease),
		JobLease:     orDefault(c.Timing.JobLease, defaultJobLease),
		Recover:      orDefault(c.Timing.Recover, defaultRecover),
		MisfireAfter: orDefault(c.Timing.MisfireAfter, defaultMisfireAfter),
		Stuck:        orDefault(c.Timing.Stuck, defaultStuck),
	}
	return c
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// UnknownPolicy says what becomes of a job whose name no handler knows.
type UnknownPolicy string

const (
	// UnknownPark hands the job back with a growing delay, uncharged.
	UnknownPark UnknownPolicy = "park"
	// UnknownFail fails the job at once.
	UnknownFail UnknownPolicy = "fail"
)

// Ports are what a runner works with.
type Ports struct {
	// Ledger, Dispatcher and Waker serve scheduled jobs; they are not used
	// when there is none.
	Ledger     ports.Ledger
	Dispatcher ports.Dispatcher
	Waker      ports.Waker
	// OpenConsumer opens the consumers of the queues; nil when there are none.
	OpenConsumer ports.OpenConsumer
	// Runs keeps the history; nil keeps none.
	Runs ports.RunStore
	Log  *slog.Logger
	// Now is the host's clock, Dice draws from [0, 1).
	Now  func() time.Time
	Dice func() float64
}

// ScheduledJob is a definition to run.
type ScheduledJob struct {
	Name string
	// Schedule is nil for a manual job.
	Schedule schedule.Schedule
	// Fingerprint identifies schedule, zone and target; see [Fingerprint].
	Fingerprint string
	Disabled    bool
	Target      domain.Target
	Policy      domain.RunPolicy
	Misfire     schedule.Misfire
	Handler     ports.ScheduledHandler
}

// Queue is a queue to work.
type Queue struct {
	Name domain.QueueName
	// Concurrency is how many jobs are worked at a time.
	Concurrency int
	// Routes are the handlers by job name.
	Routes map[string]Route
}

// Route is the handler of one job name.
type Route struct {
	Handler ports.Handler
	// Timeout ends an attempt; zero sets no limit.
	Timeout time.Duration
	// MaxStarts is how many attempts of a job may start, those included that
	// were put off or cut short; zero sets no limit. One that would start again
	// fails without its handler, and none is retried that could not start.
	MaxStarts int
	// Backoffs are the back-offs that jobs may name beside those that the
	// domain knows.
	Backoffs map[domain.BackoffKind]BackoffFunc
	// HistoryFields are the paths in a job's data whose values are recorded
	// with what became of it, such as customer.id; see [domain.Field].
	HistoryFields []string

	labels context.Context //nolint:containedctx // the form in which runtime/pprof takes labels
}
