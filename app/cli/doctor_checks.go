package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/app/doctor"
	"github.com/taktwork/takt/core/ports"
)

// features builds the worker to look at its registrations.
type features func() (*app.App, error)

// checks are all checks, in the order in which they are shown. Those that need
// the features share them.
func (s *session) checks(ctx context.Context) []examination {
	built := features(sync.OnceValues(func() (*app.App, error) {
		loaded, _, err := s.look()
		if err != nil {
			return nil, err
		}
		return s.registered(ctx, loaded)
	}))
	checks := []examination{
		{"configuration", s.checkConfiguration},
		{doctor.CheckRedis, func(ctx context.Context) ([]doctor.Finding, error) { return s.checkRedis(ctx, built) }},
	}
	checks = append(checks, s.databaseChecks()...)
	return append(checks,
		examination{doctor.CheckZones, s.checkZones}, examination{doctor.CheckWorkers, s.checkWorkers},
		examination{doctor.CheckSchedules, func(context.Context) ([]doctor.Finding, error) { return s.checkSchedules(built) }},
	)
}

// seeConfiguration is why a check is not made whose settings have mistakes.
const seeConfiguration = "not looked at: its settings have mistakes, see configuration"

func (s *session) checkConfiguration(context.Context) ([]doctor.Finding, error) {
	if s.sourceErr != nil {
		return doctor.Unread(s.sourceErr), nil //nolint:nilerr // it is judged
	}
	entries, report := config.Inspect(s.source, config.WithCronCheck(checkCron))
	set := 0
	for i := range entries {
		if entries[i].Origin.Kind != config.FromDefault {
			set++
		}
	}
	return doctor.Configuration(report, set), nil
}

// databaseChecks are those of the worker's own database and of the platform's.
func (s *session) databaseChecks() []examination {
	loaded, _, err := s.loadPart(storageVariables()...)
	if err != nil {
		return []examination{{doctor.CheckStorage, skipped(doctor.CheckStorage, seeConfiguration)}}
	}
	settings := app.SettingsFrom(loaded)
	claims := loaded.Queue.Ledger == config.LedgerSQL
	own := doctor.Database{
		Check: doctor.CheckStorage, Config: settings.Storage, Needed: claims && !loaded.Queue.LedgerFollows, Claims: claims,
		AutoMigrate: settings.AutoMigrate, Variable: "WORKER_DB_PATH or WORKER_DATA_DIR", UID: os.Geteuid(),
	}
	if own.Config.Dialect == storage.Postgres {
		own.Variable = givenBy(loaded, "DB_URI", "DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASS")
	}
	checks := []examination{databaseCheck(own)}
	if settings.Platform.Dialect != "" && !settings.Platform.Equal(settings.Storage) {
		platform := doctor.Database{Check: doctor.CheckPlatform, Config: settings.Platform, Needed: true, Variable: "DB_PATH", UID: own.UID}
		checks = append(checks, databaseCheck(platform))
	}
	return checks
}

func skipped(name, why string) func(context.Context) ([]doctor.Finding, error) {
	return func(context.Context) ([]doctor.Finding, error) {
		return []doctor.Finding{doctor.NotMade(name, why)}, nil
	}
}

// givenBy is the variable if it is set, and the others otherwise.
func givenBy(loaded *config.Config, variable, others string) string {
	if loaded.Origin(variable).Kind == config.FromDefault {
		return others
	}
	return variable
}

func databaseCheck(database doctor.Database) examination {
	return examination{database.Check, func(ctx context.Context) ([]doctor.Finding, error) {
		if database.Config.Dialect == "" {
			return []doctor.Finding{doctor.NotMade(database.Check, "none is configured")}, nil
		}
		database.Err = surveyDatabase(ctx, &database)
		return database.Findings(), nil
	}}
}

// lockPatience is how long a survey waits for a file that another process locks.
const lockPatience = 250 * time.Millisecond

// surveyDatabase gathers what there is to know, and makes and migrates nothing.
func surveyDatabase(ctx context.Context, database *doctor.Database) error {
	if database.Config.Dialect == storage.SQLite {
		place, err := storage.PlaceOf(database.Config.SQLite.Path)
		if err != nil {
			return err
		}
		if database.Place = &place; !place.Exists {
			return nil
		}
		database.Config.SQLite.Patience = lockPatience
	}
	db, err := storage.Open(ctx, unchanged(database.Config))
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: no answer in time", ports.ErrUnavailable)
	}
	if err != nil {
		return err
	}
	survey, err := db.Survey(ctx)
	database.Survey = &survey
	return errors.Join(err, db.Close())
}

func (s *session) checkZones(context.Context) ([]doctor.Finding, error) {
	loaded, _, err := s.loadPart("WORKER_TIMEZONE")
	if err != nil {
		return []doctor.Finding{doctor.NotMade(doctor.CheckZones, seeConfiguration)}, nil //nolint:nilerr // the configuration is judged by itself
	}
	zones := doctor.Zones{Data: tzdata(os.DirFS("/")), Name: loaded.Scheduler.Timezone, Now: s.now()}
	return zones.Findings(), nil
}

// checkWorkers looks for workers of this host and asks them all at once.
func (s *session) checkWorkers(ctx context.Context) ([]doctor.Finding, error) {
	loaded, _, err := s.loadClient()
	if err != nil {
		return []doctor.Finding{doctor.NotMade(doctor.CheckWorkers, seeConfiguration)}, nil //nolint:nilerr // the configuration is judged by itself
	}
	workers := doctor.Workers{StateDir: loaded.Process.StateDir, Namespace: loaded.Process.Namespace}
	live, err := control.Instances(workers.StateDir, workers.Namespace)
	if err == nil {
		workers.Dead, err = control.Leftovers(workers.StateDir, workers.Namespace)
	}
	workers.Err, workers.Running = err, make([]doctor.Worker, len(live))
	var asked sync.WaitGroup
	for i, one := range live {
		asked.Go(func() { workers.Running[i] = askHealth(ctx, one) })
	}
	asked.Wait()
	return workers.Findings(), nil
}

func askHealth(ctx context.Context, worker control.Instance) doctor.Worker {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	answer := healthAnswer{Check: checkReady}
	if err := call(ctx, worker, question{method: app.MethodHealth}, &answer.HealthReply); err != nil {
		return doctor.Worker{Name: worker.Name, Err: err}
	}
	answer.OK = passes(checkReady, &answer.HealthReply)
	return doctor.Worker{Name: worker.Name, Line: describeHealth(&answer), Ready: answer.OK, Live: passes(checkLive, &answer.HealthReply)}
}

func (s *session) checkSchedules(built features) ([]doctor.Finding, error) {
	worker, findings, err := s.buildable(doctor.CheckSchedules, built)
	if worker == nil {
		return findings, err
	}
	loaded, _, err := s.look()
	if err != nil {
		return nil, err
	}
	planned, err := worker.PlannedJobs("")
	if err != nil {
		return nil, err
	}
	schedules := doctor.Schedules{
		Off: !loaded.Scheduler.Enabled, Jobs: worker.Service().ListJobs(), Planned: planned, Warnings: worker.Warnings(), Now: s.now(),
	}
	return schedules.Findings(), nil
}

// buildable returns the worker of the features, or why there is none.
func (s *session) buildable(name string, built features) (*app.App, []doctor.Finding, error) {
	worker, err := built()
	_, badConfig := errors.AsType[*config.InvalidError](err)
	refused, badFeatures := errors.AsType[*app.RegistrationError](err)
	switch {
	case badConfig:
		return nil, []doctor.Finding{doctor.NotMade(name, seeConfiguration)}, nil
	case badFeatures && name == doctor.CheckSchedules:
		return nil, doctor.Refused(refused), nil
	case badFeatures:
		return nil, []doctor.Finding{doctor.NotMade(name, "not looked at: the features have mistakes, see "+doctor.CheckSchedules)}, nil
	case errors.Is(err, context.DeadlineExceeded):
		return nil, []doctor.Finding{doctor.Late(name)}, nil
	}
	return worker, nil, err
}
