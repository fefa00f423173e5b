package config

import (
	"time"
)

// The names that the code itself asks for.
const (
	nameQueueBackend   = "WORKER_QUEUE_BACKEND"
	nameQueueEnabled   = "WORKER_QUEUE_ENABLED"
	nameRedisEnabled   = "REDIS_ENABLED"
	nameLedger         = "WORKER_LEDGER"
	nameTimezone       = "WORKER_TIMEZONE"
	nameHeartbeatCron  = "WORKER_HEARTBEAT_CRON"
	nameNamespace      = "WORKER_NAMESPACE"
	nameStateDir       = "WORKER_STATE_DIR"
	nameInstance       = "WORKER_INSTANCE"
	nameMemoryBytes    = "WORKER_MEMORY_MAX_BYTES"
	nameMaxPayload     = "WORKER_MAX_PAYLOAD"
	nameDotenvOverride = "WORKER_DOTENV_OVERRIDE"
)

// Variable describes one environment variable that the worker reads.
type Variable struct {
	// Name is the variable's name.
	Name string `json:"name"`
	// Group is the heading under which it is documented.
	Group string `json:"group"`
	// Default is the value when it is unset, or how that value is found; empty
	// if there is none.
	Default string `json:"default"`
	// Expected is the rule that values must meet.
	Expected string `json:"expected"`
	// Example is a value that meets the rule.
	Example string `json:"example"`
	// Description says what the variable does.
	Description string `json:"description"`
	// Secret values are never shown.
	Secret bool `json:"secret"`

	rule rule
	// derived marks a Default that describes a value found at run time.
	derived bool
}

// Variables lists every variable that the worker reads, in the order in which
// they are documented and checked.
func Variables() []Variable {
	var all []Variable
	all = append(all, schedulerVariables()...)
	all = append(all, jobVariables()...)
	all = append(all, queueVariables()...)
	all = append(all, redisVariables()...)
	all = append(all, databaseVariables()...)
	all = append(all, tokenVariables()...)
	all = append(all, processVariables()...)
	for i := range all {
		all[i].Expected = all[i].rule.expected
	}
	return all
}

func tokenVariables() []Variable {
	return []Variable{{
		Name: "TOKEN_INACTIVITY_THRESHOLDS", Group: "Tokens of the platform", Example: "refresh_token=30d,api_key=90d", rule: thresholds(),
		Description: "After which time without use active tokens of a type are revoked; types that are not named never are.",
	}}
}

func schedulerVariables() []Variable {
	const group = "Scheduler"
	return []Variable{
		{
			Name: "WORKER_SCHEDULER_ENABLED", Group: group, Default: "true", Example: "false", rule: boolean(),
			Description: "Master switch of the scheduler: without it there are no ticks and no runs on start; queue handlers still work.",
		},
		{
			Name: nameTimezone, Group: group, Default: "TZ if it is an IANA name, else UTC", derived: true,
			Example: "Europe/Berlin", rule: zone(),
			Description: "Time zone of cron expressions that name none of their own.",
		},
		{
			Name: "WORKER_HEARTBEAT_ENABLED", Group: group, Default: "true", Example: "false", rule: boolean(),
			Description: "The built-in heartbeat job.",
		},
		{
			Name: nameHeartbeatCron, Group: group, Default: "*/30 * * * * *", Example: "0 * * * * *", rule: cronExpression(),
			Description: "When the heartbeat fires, in the zone of WORKER_TIMEZONE.",
		},
		{
			Name: "WORKER_LOG_REGISTERED_JOBS", Group: group, Default: "true", Example: "false", rule: boolean(),
			Description: "Log each scheduled job once at start.",
		},
	}
}

func jobVariables() []Variable {
	const group = "Defaults of scheduled jobs"
	return []Variable{
		{
			Name: "WORKER_JOB_ENABLED", Group: group, Default: "true", Example: "false", rule: boolean(),
			Description: "Whether scheduled jobs fire.",
		},
		{
			Name: "WORKER_JOB_PREVENT_OVERLAP", Group: group, Default: "true", Example: "false", rule: boolean(),
			Description: "Skip a tick while the previous run of the job is still in progress.",
		},
		{
			Name: "WORKER_JOB_RETRIES", Group: group, Default: "1", Example: "3", rule: count(0, 1000),
			Description: "Attempts after the first one failed.",
		},
		{
			Name: "WORKER_JOB_RETRY_DELAY", Group: group, Default: "5s", Example: "30s", rule: duration(0, day),
			Description: "Wait before each retry.",
		},
		{
			Name: "WORKER_JOB_TIMEOUT", Group: group, Example: "2m", rule: duration(time.Millisecond, 366*day),
			Description: "Time limit of one attempt; leave it unset for none.",
		},
		{
			Name: "WORKER_JOB_MAX_RANDOM_DELAY", Group: group, Default: "0s", Example: "10s", rule: duration(0, day),
			Description: "Upper bound of the jitter added to a tick.",
		},
	}
}

func queueVariables() []Variable {
	const group = "Queues"
	return append([]Variable{
		{
			Name: nameQueueBackend, Group: group,
			Default: "none if WORKER_QUEUE_ENABLED=false, redis if REDIS_ENABLED=true, else memory", derived: true,
			Example: "memory", rule: choice(string(BackendRedis), string(BackendMemory), string(BackendNone)),
			Description: "Where jobs wait: in Redis, in memory (jobs end with the worker), or nowhere (scheduled jobs run inline).",
		},
		{
			Name: nameQueueEnabled, Group: group, Default: "true", Example: "false", rule: boolean(),
			Description: "Queueing at all; false means the backend none.",
		},
		{
			Name: nameLedger, Group: group, Default: "auto", Example: "memory",
			rule:        choice(string(LedgerAuto), string(LedgerMemory), string(LedgerRedis), string(LedgerSQL)),
			Description: "Where the claims of runs are kept: auto is redis for queues in Redis, else sql, or memory where storage cannot be used; redis and sql insist.",
		},
		{
			Name: "WORKER_DEFAULT_QUEUE", Group: group, Default: "worker-default", Example: "reports", rule: queueName(),
			Description: "Queue of jobs that name none.",
		},
		{
			Name: "WORKER_QUEUES", Group: group, Example: "mail,reports", rule: list("queue names", queueName()),
			Description: "Further queues to declare, beyond those of the features.",
		},
	}, queueLimits(group)...)
}

func queueLimits(group string) []Variable {
	return []Variable{
		{
			Name: "WORKER_STRICT_QUEUES", Group: group, Default: "false", Example: "true", rule: boolean(),
			Description: "Refuse to start if a scheduled job has a queue target while queueing is off, instead of running it inline.",
		},
		{
			Name: "WORKER_UNKNOWN_JOBS", Group: group, Default: string(UnknownPark), Example: string(UnknownFail),
			rule:        choice(string(UnknownPark), string(UnknownFail)),
			Description: "What becomes of a job without a handler here: handed back with a delay and no attempt charged, or failed.",
		},
		{
			Name: "WORKER_CONCURRENCY", Group: group, Default: "10", Example: "20", rule: count(1, 10_000),
			Description: "Jobs worked at a time, per queue.",
		},
		{
			Name: nameMaxPayload, Group: group, Default: "256KiB", Example: "1MiB", rule: size(1<<10, 5<<20),
			Description: "Size limit of the data of one job.",
		},
		{
			Name: "WORKER_MEMORY_MAX_JOBS", Group: group, Default: "100000", Example: "20000", rule: count(1, 100_000_000),
			Description: "Jobs that one queue in memory holds; more are refused.",
		},
		{
			Name: nameMemoryBytes, Group: group, Default: "64MiB", Example: "256MiB", rule: size(64<<10, 64<<30),
			Description: "Payload bytes that one queue in memory holds; more are refused.",
		},
	}
}

func processVariables() []Variable {
	const group = "Process"
	return append([]Variable{
		{
			Name: nameNamespace, Group: group, Default: "default", Example: "shop-stage",
			rule:        pattern("a namespace", `^[a-z0-9-]{1,32}$`),
			Description: "Separates products and environments that share a store or a host.",
		},
		{
			Name: nameStateDir, Group: group,
			Default: "$XDG_RUNTIME_DIR/takt, else /tmp/takt-<uid>", derived: true,
			Example: "/run/takt", rule: directory(),
			Description: "Directory of the control sockets.",
		},
		{
			Name: nameInstance, Group: group, Default: "the process id", derived: true, Example: "blue",
			rule:        pattern("an instance name", `^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`),
			Description: "Name of this worker among those of one host and namespace.",
		},
		{
			Name: "WORKER_DEPLOY_ID", Group: group, Example: "2026-11-23.1",
			rule:        pattern("a deployment id", `^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`),
			Description: "Identifies one deployment, for jobs that run once per deployment.",
		},
	}, processLimits(group)...)
}

func processLimits(group string) []Variable {
	return []Variable{
		{
			Name: "WORKER_START_TIMEOUT", Group: group, Default: "60s", Example: "2m", rule: duration(time.Second, time.Hour),
			Description: "How long start waits for a dependency that is down.",
		},
		{
			Name: "WORKER_SHUTDOWN_TIMEOUT", Group: group, Default: "25s", Example: "50s", rule: duration(time.Second, 10*time.Minute),
			Description: "Time for a whole graceful stop; keep it below the orchestrator's own limit.",
		},
		{
			Name: "LOG_LEVEL", Group: group, Default: "info", Example: "debug", rule: choice("debug", "info", "warn", "error"),
			Description: "Lowest level that is logged.",
		},
		{
			Name: nameDotenvOverride, Group: group, Default: "false", Example: "true", rule: boolean(),
			Description: "Let .env.local beat the process environment. Read from the process environment alone.",
		},
	}
}

func queueName() rule {
	return pattern("a queue name", `^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
}
