package config

import (
	"log/slog"
	"time"
)

// Config is a checked configuration. Load makes it; it is read-only and safe
// for concurrent use.
type Config struct {
	// Scheduler says what fires, and in which zone.
	Scheduler Scheduler
	// Jobs are the defaults of scheduled jobs that leave an option open.
	Jobs JobDefaults
	// Queue says where jobs wait and how many are worked at a time.
	Queue Queue
	// Storage says where the worker keeps its own tables.
	Storage Storage
	// Tokens is the clean-up of the platform's tokens.
	Tokens Tokens
	// Process names this worker and bounds its start and stop.
	Process Process
	// Log says what is logged.
	Log Log

	redis    *Redis
	database *Database
	entries  []Entry
}

// Redis returns the connection to Redis, and whether anything uses it.
func (c *Config) Redis() (Redis, bool) {
	if c.redis == nil {
		return Redis{}, false
	}
	return *c.redis, true
}

// Scheduler is the part that makes ticks.
type Scheduler struct {
	// Enabled is the master switch: without it there is no tick and no run on start.
	Enabled bool `env:"WORKER_SCHEDULER_ENABLED"`
	// Timezone is the IANA zone of cron expressions without one of their own.
	// time.LoadLocation accepts it.
	Timezone string `env:"WORKER_TIMEZONE"`
	// HeartbeatEnabled switches the built-in heartbeat job.
	HeartbeatEnabled bool `env:"WORKER_HEARTBEAT_ENABLED"`
	// HeartbeatCron is the heartbeat's cron expression.
	HeartbeatCron string `env:"WORKER_HEARTBEAT_CRON"`
	// LogRegisteredJobs logs each scheduled job once at start.
	LogRegisteredJobs bool `env:"WORKER_LOG_REGISTERED_JOBS"`
}

// JobDefaults apply to scheduled jobs that do not set the option themselves.
type JobDefaults struct {
	// Enabled says whether jobs fire at all.
	Enabled bool `env:"WORKER_JOB_ENABLED"`
	// PreventOverlap skips a tick while the previous run is still in progress.
	PreventOverlap bool `env:"WORKER_JOB_PREVENT_OVERLAP"`
	// Retries is the number of attempts after the first.
	Retries int `env:"WORKER_JOB_RETRIES"`
	// RetryDelay is the wait before each retry.
	RetryDelay time.Duration `env:"WORKER_JOB_RETRY_DELAY"`
	// Timeout ends an attempt; zero means that attempts have no time limit.
	Timeout time.Duration `env:"WORKER_JOB_TIMEOUT"`
	// MaxRandomDelay bounds the jitter added to a tick.
	MaxRandomDelay time.Duration `env:"WORKER_JOB_MAX_RANDOM_DELAY"`
}

// Queue says where jobs wait and how they are worked.
type Queue struct {
	// Default is the queue of jobs that name none.
	Default string `env:"WORKER_DEFAULT_QUEUE"`
	// Extra are further queues to declare, in the order given, each once.
	Extra []string `env:"WORKER_QUEUES"`
	// Backend is where jobs wait, after the switches were weighed; never
	// BackendUnset.
	Backend Backend `env:"WORKER_QUEUE_BACKEND"`
	// Ledger is where claims are kept; never LedgerAuto.
	Ledger Ledger `env:"WORKER_LEDGER"`
	// LedgerFollows tells that the ledger follows from where queues are: nobody
	// insists on it.
	LedgerFollows bool
	// Prefix is BullMQ's prefix of keys.
	Prefix string `env:"WORKER_QUEUE_PREFIX"`
	// Profile is the BullMQ of the Node programs that share the queues.
	Profile Profile `env:"WORKER_BULLMQ_PROFILE"`
	// RateLimits bound how many jobs of a queue in Redis start in a span.
	RateLimits RateLimits `env:"WORKER_QUEUE_RATE_LIMITS"`
	// Metrics is for how long BullMQ's counts a minute are kept.
	Metrics time.Duration `env:"WORKER_QUEUE_METRICS"`
	// Strict makes a scheduled job with a queue target a start error while
	// queueing is off.
	Strict bool `env:"WORKER_STRICT_QUEUES"`
	// UnknownJobs says what becomes of a job without a handler here.
	UnknownJobs UnknownJobs `env:"WORKER_UNKNOWN_JOBS"`
	// Concurrency is the number of jobs worked at a time, per queue.
	Concurrency int `env:"WORKER_CONCURRENCY"`
	// MaxPayload is the size limit of one job's data, in bytes.
	MaxPayload int64 `env:"WORKER_MAX_PAYLOAD"`
	// MemoryMaxJobs is the number of jobs that a queue in memory holds.
	MemoryMaxJobs int `env:"WORKER_MEMORY_MAX_JOBS"`
	// MemoryMaxBytes is the sum of payloads that a queue in memory holds, in bytes.
	MemoryMaxBytes int64 `env:"WORKER_MEMORY_MAX_BYTES"`
}

// Enabled reports whether jobs can be enqueued at all.
func (q Queue) Enabled() bool { return q.Backend != BackendNone }

// Tokens is the clean-up of the platform's tokens.
type Tokens struct {
	// InactivityThresholds say after which time without use tokens are revoked.
	InactivityThresholds Thresholds `env:"TOKEN_INACTIVITY_THRESHOLDS"`
}

// Process names this worker and bounds its start and stop.
type Process struct {
	// Namespace separates products and environments that share a store.
	Namespace string `env:"WORKER_NAMESPACE"`
	// StateDir is the absolute directory of the control sockets. It need not exist.
	StateDir string `env:"WORKER_STATE_DIR"`
	// Instance names this worker's control socket.
	Instance string `env:"WORKER_INSTANCE"`
	// DeployID marks one deployment, for jobs that run once per deployment; it
	// may be empty.
	DeployID string `env:"WORKER_DEPLOY_ID"`
	// StartTimeout is how long start waits for dependencies that are down.
	StartTimeout time.Duration `env:"WORKER_START_TIMEOUT"`
	// ShutdownTimeout is the time of a whole graceful stop.
	ShutdownTimeout time.Duration `env:"WORKER_SHUTDOWN_TIMEOUT"`
}

// Log says what is logged.
type Log struct {
	// Level is the lowest level that is written.
	Level slog.Level `env:"LOG_LEVEL"`
}

// UnknownJobs says what becomes of a job without a handler in this worker.
type UnknownJobs string

// The answers to a job without a handler.
const (
	// UnknownPark hands the job back with a delay and charges no attempt.
	UnknownPark UnknownJobs = "park"
	// UnknownFail fails the job.
	UnknownFail UnknownJobs = "fail"
)

// decoded is what go-envconfig fills: the configuration, and the switches that
// only decide others.
type decoded struct {
	Config   Config
	Switches switches
	Redis    redisParts
	Database databaseParts
}

// switches are read, weighed and not kept.
type switches struct {
	QueueEnabled   bool `env:"WORKER_QUEUE_ENABLED"`
	RedisEnabled   bool `env:"REDIS_ENABLED"`
	DotenvOverride bool `env:"WORKER_DOTENV_OVERRIDE"`
}
