package app

import (
	"math/rand/v2"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// Settings say how a worker works. The zero value is a worker of its own,
// with everything in memory and the reference package's defaults;
// [SettingsFrom] takes them from the configuration.
type Settings struct {
	// Namespace separates workers that share a store; default "default".
	Namespace string
	// Instance names this worker on its host; default the process id.
	Instance string
	// Replica names this worker in the fleet; default host, instance and a
	// random suffix.
	Replica string
	// DeployID marks a deployment, for jobs that run once per deployment.
	DeployID string

	// SchedulerDisabled switches all scheduled jobs off.
	SchedulerDisabled bool
	// Timezone is the IANA zone of cron expressions without one; default UTC.
	Timezone string
	// Jobs are the defaults of scheduled jobs.
	Jobs JobDefaults
	// SilentRegistration leaves out the log line for each scheduled job.
	SilentRegistration bool

	// Backend is where queues live; default memory.
	Backend config.Backend
	// Ledger is where claims are kept; default Redis if the queues are there,
	// else Storage, or memory while that has no schema of this version.
	Ledger config.Ledger
	// Storage is the worker's own database; the zero value is none, and what
	// would be there is kept in memory. A SQLite file migrates itself at start,
	// the schema in Postgres does with AutoMigrate alone.
	Storage storage.Config
	// Platform is the database that features use, see [Database]; the zero
	// value is none. It is never migrated.
	Platform storage.Config
	// AutoMigrate brings the worker's schema in Postgres up to date at start.
	AutoMigrate bool
	// Redis is the connection, for queues or the ledger in Redis. It is used as
	// it is: no variable changes it.
	Redis redisqueue.Connection
	// QueuePrefix is BullMQ's prefix of keys in Redis; default "bull".
	QueuePrefix string
	// BullMQProfile is the BullMQ of Node programs on the same queues; unset it
	// is what the latest of them left on the queue, else version 5.
	BullMQProfile config.Profile
	// RateLimits bound how many jobs of a queue in Redis start in a span,
	// counted over all workers that have a limit.
	RateLimits map[string]config.RateLimit
	// QueueMetrics is for how long BullMQ's counts of finished jobs a minute
	// are kept in Redis; zero keeps none.
	QueueMetrics time.Duration
	// DefaultQueue is the queue of jobs and handlers that name none; default
	// "default".
	DefaultQueue string
	// Queues are declared beside those of the features.
	Queues []string
	// StrictQueues makes a queue target without queueing a mistake.
	StrictQueues bool
	// Concurrency is how many jobs of a queue are worked at a time; default 10.
	Concurrency int
	// Unknown says what becomes of jobs that no handler knows; default park.
	Unknown runner.UnknownPolicy
	// MaxPayload bounds payloads and results in bytes; default 256 KiB.
	MaxPayload int
	// MemoryMaxJobs and MemoryMaxBytes bound a queue in memory; defaults
	// 100,000 jobs and 64 MiB of payloads.
	MemoryMaxJobs  int
	MemoryMaxBytes int
	// HistorySize is how many records of runs and jobs are kept in memory;
	// default 10,000.
	HistorySize int
	// HistoryMaxAge and HistoryMaxRecords bound the history in storage;
	// defaults 30 days and 1,000,000 records.
	HistoryMaxAge     time.Duration
	HistoryMaxRecords int

	// Timing holds the runner's intervals.
	Timing runner.Timing
	// ShutdownTimeout bounds a whole stop; default 25 s.
	ShutdownTimeout time.Duration
	// StateDir is where the control socket lives; empty opens none.
	StateDir string

	// Now is the clock of the ledger in memory, by which ticks are planned;
	// default [time.Now]. Timers go by the runtime's own clock.
	Now func() time.Time
	// Dice draws the jitter of backoffs from [0, 1); default [rand.Float64].
	Dice func() float64
}

// JobDefaults are the defaults of scheduled jobs. The zero value is the
// reference package's: enabled, no overlap, no retries.
type JobDefaults struct {
	Disabled     bool
	AllowOverlap bool
	Retries      int
	RetryDelay   time.Duration
	Timeout      time.Duration
	MaxJitter    time.Duration
}

// SettingsFrom returns the settings of a configuration.
func SettingsFrom(c *config.Config) Settings {
	profile := c.Queue.Profile
	if c.Origin("WORKER_BULLMQ_PROFILE").Kind == config.FromDefault {
		profile = ""
	}
	return Settings{
		Namespace: c.Process.Namespace, Instance: c.Process.Instance, DeployID: c.Process.DeployID,
		SchedulerDisabled: !c.Scheduler.Enabled, Timezone: c.Scheduler.Timezone,
		SilentRegistration: !c.Scheduler.LogRegisteredJobs,
		Jobs: JobDefaults{
			Disabled: !c.Jobs.Enabled, AllowOverlap: !c.Jobs.PreventOverlap, Retries: c.Jobs.Retries,
			RetryDelay: c.Jobs.RetryDelay, Timeout: c.Jobs.Timeout, MaxJitter: c.Jobs.MaxRandomDelay,
		},
		Backend: c.Queue.Backend, Ledger: ledgerFrom(c), Redis: connectionFrom(c),
		Storage: storageFrom(c), Platform: platformFrom(c), AutoMigrate: c.Storage.AutoMigrate,
		HistoryMaxAge: c.Storage.HistoryMaxAge, HistoryMaxRecords: c.Storage.HistoryMaxRecords,
		QueuePrefix: c.Queue.Prefix, BullMQProfile: profile, RateLimits: c.Queue.RateLimits, QueueMetrics: c.Queue.Metrics, DefaultQueue: c.Queue.Default, Queues: c.Queue.Extra,
		StrictQueues: c.Queue.Strict, Concurrency: c.Queue.Concurrency,
		Unknown: runner.UnknownPolicy(c.Queue.UnknownJobs), MaxPayload: int(c.Queue.MaxPayload),
		MemoryMaxJobs: c.Queue.MemoryMaxJobs, MemoryMaxBytes: int(c.Queue.MemoryMaxBytes),
		ShutdownTimeout: c.Process.ShutdownTimeout, StateDir: c.Process.StateDir,
	}
}

func connectionFrom(c *config.Config) redisqueue.Connection {
	redis, _ := c.Redis()
	return redisqueue.Connection{
		Network: redis.Network, Addr: redis.Addr, Nodes: redis.Nodes, Sentinel: sentinelFrom(redis.Sentinel),
		Username: redis.Username, Password: redis.Password, DB: redis.DB, TLS: redis.TLS,
	}
}

func sentinelFrom(s *config.RedisSentinel) *redisqueue.Sentinel {
	if s == nil {
		return nil
	}
	sentinel := redisqueue.Sentinel(*s)
	return &sentinel
}

func ledgerFrom(c *config.Config) config.Ledger {
	if c.Queue.LedgerFollows && c.Queue.Ledger == config.LedgerSQL {
		return config.LedgerAuto
	}
	return c.Queue.Ledger
}

// storageFrom returns where the worker's own tables are: in the platform's
// Postgres, or else in a file of their own.
func storageFrom(c *config.Config) storage.Config {
	if database, ok := c.Database(); ok && database.Type == config.DatabasePostgres {
		return platformFrom(c)
	}
	if c.Storage.Path == "" {
		return storage.Config{}
	}
	return storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: c.Storage.Path}}
}

func platformFrom(c *config.Config) storage.Config {
	database, _ := c.Database()
	switch database.Type {
	case config.DatabasePostgres:
		return storage.Config{Dialect: storage.Postgres, Postgres: storage.PostgresConfig{
			Host: database.Host, Port: database.Port, Database: database.Name, User: database.User, Password: database.Password,
			SSLMode: database.SSLMode, CACert: database.CACert, PoolSize: database.PoolSize,
		}}
	case config.DatabaseSQLite:
		return storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: database.Path, Foreign: true}}
	}
	return storage.Config{}
}

const (
	defaultConcurrency    = 10
	defaultMaxPayload     = 256 << 10
	defaultMemoryMaxJobs  = 100_000
	defaultMemoryMaxBytes = 64 << 20
	defaultHistorySize    = 10_000
	defaultHistoryAge     = 30 * 24 * time.Hour
	defaultHistoryRecords = 1_000_000
	defaultShutdown       = 25 * time.Second
)

func (s Settings) withDefaults() Settings {
	setDefault(&s.Namespace, "default")
	setDefault(&s.Instance, defaultInstance())
	setDefault(&s.Replica, newReplica(s.Instance))
	setDefault(&s.Timezone, "UTC")
	setDefault(&s.Backend, config.BackendMemory)
	if s.Ledger == "" || s.Ledger == config.LedgerAuto {
		// What stays auto is in storage if that has a schema, else in memory.
		s.Ledger = config.LedgerAuto
		switch {
		case s.Backend == config.BackendRedis:
			s.Ledger = config.LedgerRedis
		case !s.hasStorage():
			s.Ledger = config.LedgerMemory
		}
	}
	setDefault(&s.DefaultQueue, "default")
	setDefault(&s.Concurrency, defaultConcurrency)
	setDefault(&s.Unknown, runner.UnknownPark)
	setDefault(&s.MaxPayload, defaultMaxPayload)
	setDefault(&s.MemoryMaxJobs, defaultMemoryMaxJobs)
	setDefault(&s.MemoryMaxBytes, defaultMemoryMaxBytes)
	setDefault(&s.HistorySize, defaultHistorySize)
	setDefault(&s.HistoryMaxAge, defaultHistoryAge)
	setDefault(&s.HistoryMaxRecords, defaultHistoryRecords)
	setDefault(&s.ShutdownTimeout, defaultShutdown)
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Dice == nil {
		s.Dice = rand.Float64
	}
	return s
}

func setDefault[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
}

// Queueing reports whether jobs can be enqueued at all.
func (s Settings) Queueing() bool { return s.Backend != config.BackendNone }

func (s Settings) hasStorage() bool { return s.Storage.Dialect != "" }

func (s Settings) usesRedis() bool {
	return s.Backend == config.BackendRedis || s.Ledger == config.LedgerRedis
}

// checkSettings reports settings that no worker can work with.
func (r *registry) checkSettings() {
	s := r.settings
	if _, err := r.crons.Cron("* * * * *", s.Timezone); err != nil {
		r.problem("settings: timezone %s: %s", domain.Quote(s.Timezone), err)
	}
	if err := checkRedis(s); err != nil {
		r.problem("settings: %s", err)
	}
	r.checkDatabases()
	for _, least := range []struct {
		name  string
		value int
	}{
		{"concurrency", s.Concurrency},
		{"largest payload", s.MaxPayload},
		{"jobs of a queue in memory", s.MemoryMaxJobs},
		{"bytes of a queue in memory", s.MemoryMaxBytes},
		{"history size", s.HistorySize},
		{"history max records", s.HistoryMaxRecords},
	} {
		if least.value < 1 {
			r.problem("settings: %s %d is too small; at least 1", least.name, least.value)
		}
	}
	if s.ShutdownTimeout < 0 {
		r.problem("settings: shutdown timeout %s is negative", s.ShutdownTimeout)
	}
	for _, interval := range []time.Duration{
		s.Timing.Sync, s.Timing.ClaimLease, s.Timing.JobLease, s.Timing.Recover, s.Timing.MisfireAfter, s.Timing.Stuck,
	} {
		if interval != 0 && interval < time.Millisecond {
			r.problem("settings: interval %s of the timing is too short; at least 1ms, or 0s for the default", interval)
		}
	}
	if s.Unknown != runner.UnknownPark && s.Unknown != runner.UnknownFail {
		r.problem("settings: unknown policy %s of unknown jobs; known are %q and %q", domain.Quote(string(s.Unknown)), runner.UnknownPark, runner.UnknownFail)
	}
}

// checkDatabases reports databases that nothing can be opened with.
func (r *registry) checkDatabases() {
	s := r.settings
	for _, database := range []struct {
		name   string
		config storage.Config
	}{{"storage", s.Storage}, {"platform", s.Platform}} {
		if database.config == (storage.Config{}) {
			continue
		}
		if err := database.config.Check(); err != nil {
			r.problem("settings: %s: %s", database.name, err)
		}
	}
	if s.Ledger == config.LedgerSQL && !s.hasStorage() {
		r.problem("settings: ledger %q without Storage", config.LedgerSQL)
	}
}
