package cli

import (
	"fmt"
	"strings"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
)

// banner is what a person reads when a worker starts.
func (s *session) banner(loaded *config.Config, jobs []app.JobInfo) string {
	var b strings.Builder
	b.WriteString("Takt worker " + printable(s.build.version()) + "\n\n")
	about := [][]string{
		{"  namespace", loaded.Process.Namespace + ", instance " + printable(loaded.Process.Instance)},
		{"  queues", describeBackend(loaded)},
		{"  ledger", describeLedger(loaded)},
		{"  storage", printable(app.SettingsFrom(loaded).Storage.String())},
	}
	if _, ok := loaded.Redis(); ok {
		about = append(about, []string{"  redis", printable(app.SettingsFrom(loaded).Redis.String())})
	}
	table(&b, append(about,
		[]string{"  zone", loaded.Scheduler.Timezone + " (" + zoneOrigin(loaded) + ")"},
		[]string{"  socket", printable(loaded.Process.StateDir) + " (WORKER_STATE_DIR)"},
	))
	b.WriteString("\n" + describeSchedule(loaded, jobs) + "\n")
	rows := make([][]string, len(jobs))
	for i := range jobs {
		next := orDash(localTime(jobs[i].NextTick, jobs[i].Timezone))
		switch {
		case !jobs[i].Enabled:
			next = "disabled"
		case jobs[i].RunOnStart:
			next = strings.TrimSuffix("on start, "+next, ", -")
		}
		rows[i] = []string{"  " + printable(jobs[i].ID), scheduleOf(&jobs[i]), next}
	}
	table(&b, rows)
	b.WriteString("\nCtrl-C drains the worker and stops it; a second one gives back at once what is under way.\n\n")
	return b.String()
}

func zoneOrigin(loaded *config.Config) string {
	origin := loaded.Origin("WORKER_TIMEZONE")
	if origin.Kind == config.FromDefault {
		return origin.String()
	}
	return "from " + origin.String()
}

func describeBackend(loaded *config.Config) string {
	switch loaded.Queue.Backend {
	case config.BackendMemory:
		return "memory: jobs end with this process"
	case config.BackendNone:
		return "none: scheduled jobs run inline"
	case config.BackendRedis:
		return "redis: jobs are shared with every program that knows the prefix " + loaded.Queue.Prefix
	case config.BackendUnset:
	}
	return string(loaded.Queue.Backend)
}

func describeLedger(loaded *config.Config) string {
	switch {
	case loaded.Queue.Ledger == config.LedgerMemory:
		return "memory, scope host: other workers know nothing of its runs, so run one per namespace"
	case loaded.Queue.Ledger == config.LedgerSQL && loaded.Storage.Path != "":
		return "sql, scope host: workers that share the file share the runs"
	}
	return string(loaded.Queue.Ledger) + ", scope fleet: workers share the runs"
}

func describeSchedule(loaded *config.Config, jobs []app.JobInfo) string {
	if !loaded.Scheduler.Enabled {
		return "The scheduler is off (WORKER_SCHEDULER_ENABLED): no job ticks."
	}
	return fmt.Sprintf("%s with next ticks:", plural(len(jobs), "scheduled job"))
}
