package app

import (
	"log/slog"

	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// FingerprintOf returns the fingerprint of a definition.
func FingerprintOf(job *runner.ScheduledJob, info *JobInfo) string { return fingerprint(job, info) }

// Fingerprints returns the fingerprints of all scheduled jobs by name.
func (a *App) Fingerprints() map[string]string {
	prints := map[string]string{}
	for _, job := range a.engine.registry.jobs {
		prints[job.Name] = job.Fingerprint
	}
	return prints
}

// CloseStores closes the stores of a worker, so that its runner cannot start.
func CloseStores(a *App) error { return a.engine.stores.stop() }

// Troubles are what keeps the stores of a worker from working.
func Troubles(a *App) []string { return a.engine.stores.troubles() }

// StartPruner starts to keep a history within the bounds of the settings, until stop.
func StartPruner(runs ports.RunStore, s Settings, log *slog.Logger) (stop func()) {
	return startPruner(runs, s, log).stop
}
