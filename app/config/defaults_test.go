package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
)

// defaults are the values of the variables in an empty environment, as
// "worker config" shows them.
var defaults = map[string]string{
	"WORKER_SCHEDULER_ENABLED":    "true",
	"WORKER_TIMEZONE":             "UTC",
	"WORKER_HEARTBEAT_ENABLED":    "true",
	"WORKER_HEARTBEAT_CRON":       "*/30 * * * * *",
	"WORKER_LOG_REGISTERED_JOBS":  "true",
	"WORKER_JOB_ENABLED":          "true",
	"WORKER_JOB_PREVENT_OVERLAP":  "true",
	"WORKER_JOB_RETRIES":          "1",
	"WORKER_JOB_RETRY_DELAY":      "5s",
	"WORKER_JOB_TIMEOUT":          "",
	"WORKER_JOB_MAX_RANDOM_DELAY": "0s",
	"WORKER_QUEUE_BACKEND":        "memory",
	"WORKER_QUEUE_ENABLED":        "true",
	"REDIS_ENABLED":               "false",
	"REDIS_URL":                   "",
	"REDIS_HOST":                  "127.0.0.1",
	"REDIS_PORT":                  "6379",
	"REDIS_USER":                  "",
	"REDIS_PASSWORD":              "",
	"REDIS_TLS":                   "false",
	"REDIS_REQUIRE_TLS":           "false",
	"REDIS_CA_CERT":               "",
	"REDIS_CERT":                  "",
	"REDIS_KEY":                   "",
	"REDIS_SERVER_NAME":           "",
	"REDIS_DB":                    "0",
	"REDIS_CLUSTER_NODES":         "",
	"REDIS_SENTINELS":             "",
	"REDIS_SENTINEL_NAME":         "",
	"REDIS_SENTINEL_USER":         "",
	"REDIS_SENTINEL_PASSWORD":     "",
	"REDIS_SENTINEL_TLS":          "false",
	"REDIS_SENTINEL_CA_CERT":      "",
	"WORKER_QUEUE_PREFIX":         "bull",
	"WORKER_BULLMQ_PROFILE":       "v5",
	"WORKER_QUEUE_RATE_LIMITS":    "",
	"WORKER_QUEUE_METRICS":        "0s",
	"TOKEN_INACTIVITY_THRESHOLDS": "",
	"WORKER_LEDGER":               "sql",
	"WORKER_DEFAULT_QUEUE":        "worker-default",
	"WORKER_QUEUES":               "",
	"WORKER_STRICT_QUEUES":        "false",
	"WORKER_UNKNOWN_JOBS":         "park",
	"WORKER_CONCURRENCY":          "10",
	"WORKER_MAX_PAYLOAD":          "256KiB",
	"WORKER_MEMORY_MAX_JOBS":      "100000",
	"WORKER_MEMORY_MAX_BYTES":     "64MiB",
	"WORKER_NAMESPACE":            "default",
	"WORKER_STATE_DIR":            "/tmp/takt-1000",
	"WORKER_INSTANCE":             "4711",
	"WORKER_DEPLOY_ID":            "",
	"WORKER_START_TIMEOUT":        "1m",
	"WORKER_SHUTDOWN_TIMEOUT":     "25s",
	"LOG_LEVEL":                   "info",
	"WORKER_DOTENV_OVERRIDE":      "false",
	"WORKER_HISTORY_MAX_AGE":      "30d",
	"WORKER_HISTORY_MAX_RECORDS":  "1000000",
	"WORKER_DB_PATH":              "/home/worker/.local/state/takt/default.db",
	"WORKER_DATA_DIR":             "/home/worker/.local/state/takt",
	"DB_TYPE":                     "",
	"DB_URI":                      "",
	"DB_HOST":                     "localhost",
	"DB_PORT":                     "5432",
	"DB_NAME":                     "postgres",
	"DB_USER":                     "postgres",
	"DB_PASS":                     "",
	"DB_SSL_MODE":                 "",
	"DB_REQUIRE_TLS":              "false",
	"DB_CA_CERT":                  "",
	"DB_POOL_SIZE":                "10",
	"DB_PATH":                     "",
	"DB_AUTO_MIGRATE":             "false",
}

func TestEveryVariableHasItsDefault(t *testing.T) {
	shown := map[string]config.Entry{}
	for _, entry := range mustLoad(t, source(t)).Entries() {
		shown[entry.Name] = entry
		if _, named := defaults[entry.Name]; !named {
			t.Errorf("%s has no row in this test", entry.Name)
		}
	}
	for name, want := range defaults {
		t.Run(name, func(t *testing.T) {
			if got := shown[name]; got.Name == "" || got.Value != want {
				t.Errorf("%s = %q, want %q", name, got.Value, want)
			}
			// An empty value is none: it gives the default as well.
			for _, entry := range mustLoad(t, source(t, name+"=")).Entries() {
				if entry.Name == name && entry.Value != want {
					t.Errorf("%s= gives %q, want %q", name, entry.Value, want)
				}
			}
		})
	}
}

func TestVariablesOfThePlatformAreLeftAlone(t *testing.T) {
	from := source(t, "SENTRY_DSN=https://key@sentry.example/1", "API_BASE_URL=http://localhost:3000", "JWT_SECRET=geheim", "NODE_ENV=production")
	write(t, from.Dir, ".env", "SENTRY_TRACES_SAMPLE_RATE=0.1\nAWS_REGION=eu-central-1\nGOOGLE_CLIENT_ID=geheim\n")
	got, report := config.Load(from)
	if err := report.Strict().Err(); err != nil || len(report.Warnings) != 0 {
		t.Fatalf("Load() = %v with warnings %v, want neither", err, report.Warnings)
	}
	if diff := cmp.Diff(mustLoad(t, source(t)).Entries(), got.Entries()); diff != "" {
		t.Errorf("they change the configuration (-without +with):\n%s", diff)
	}
}
