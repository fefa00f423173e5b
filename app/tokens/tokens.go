// Package tokens is a built-in feature: it lets the platform's tokens expire
// whose time is over, and revokes those that nobody has used for long. Names,
// schedules and payloads are those of the reference. It works in the
// platform's database, on a table that the platform owns: it never creates or
// changes the table, and without it the feature stays off. The package is
// written as any user would write a feature that keeps a table.
package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
)

// Names of the feature, its scheduled jobs, its queue and the jobs on it.
const (
	Feature         = "worker.tokens"
	ExpiredJob      = "token.cleanup.expired.schedule"
	InactiveJob     = "token.cleanup.inactive.scheduler"
	Queue           = "token-maintenance"
	ExpiredEvent    = "token.cleanup.expired"
	InactiveEvent   = "token.cleanup.inactive"
	hourly          = "0 * * * *"
	everySixHours   = "0 */6 * * *"
	timestampLayout = "2006-01-02T15:04:05.000Z"
)

// Module is the feature. It needs a *[config.Config].
func Module() app.Option { return app.Feature(Feature, register, app.Provide(newCleanup)) }

// Payload is what the jobs on the queue carry.
type Payload struct {
	// RequestedAt is when the job was made: ISO 8601 in UTC with milliseconds.
	RequestedAt string `json:"requestedAt"`
}

// Expired is what a clean-up of expired tokens leaves behind.
type Expired struct {
	Expired int64 `json:"expired"`
}

// Revoked is what a clean-up of inactive tokens leaves behind.
type Revoked struct {
	Revoked int64 `json:"revoked"`
	// ByType holds each type that has a threshold.
	ByType map[string]int64 `json:"byType"`
}

// cleanup does the feature's work.
type cleanup struct {
	log        *slog.Logger
	platform   *app.Database
	thresholds config.Thresholds
	now        func() time.Time
}

func newCleanup(log *slog.Logger, platform *app.Database, settings app.Settings, configured *config.Config) *cleanup {
	return &cleanup{log: log, platform: platform, thresholds: configured.Tokens.InactivityThresholds, now: settings.Now}
}

func register(c *cleanup, settings app.Settings) app.Contribution {
	return app.Contribution{
		Queues:    []string{Queue},
		Condition: c.canWork,
		Jobs: []app.ScheduledJob{
			app.Schedule(ExpiredJob, c.runOf(settings, c.expire), options(settings, hourly, ExpiredEvent,
				"Lets tokens expire whose time is over.")...),
			app.Schedule(InactiveJob, c.runOf(settings, c.revoke), options(settings, everySixHours, InactiveEvent,
				"Revokes tokens that nobody has used for long.")...),
		},
		Handlers: []app.Handler{
			app.Handle(Queue, ExpiredEvent, func(ctx context.Context, _ app.Job[Payload]) (any, error) { return c.expire(ctx) }),
			app.Handle(Queue, InactiveEvent, func(ctx context.Context, _ app.Job[Payload]) (any, error) { return c.revoke(ctx) }),
		},
	}
}

func options(settings app.Settings, cron, event, description string) []app.JobOption {
	all := []app.JobOption{
		app.Description(description), app.Cron(cron), app.OnStart(domain.StartEachReplica), app.Overlap(domain.OverlapSkip),
	}
	if settings.Queueing() {
		all = append(all, app.ToQueue(Queue), app.QueueJobName(event))
	}
	if settings.Platform.Dialect == "" {
		all = append(all, app.Enabled(false))
	}
	return all
}

// runOf is what a scheduled job does: it asks for the work, or does it itself
// where there are no queues.
func (c *cleanup) runOf(settings app.Settings, work func(ctx context.Context) (any, error)) app.RunFunc {
	if settings.Queueing() {
		return func(context.Context, app.Run) (any, error) {
			return Payload{RequestedAt: c.now().UTC().Format(timestampLayout)}, nil
		}
	}
	return func(ctx context.Context, _ app.Run) (any, error) { return work(ctx) }
}

// canWork says whether the platform has the table.
func (c *cleanup) canWork(ctx context.Context) error {
	db, ok := c.platform.DB()
	if !ok {
		return app.Skip("there is no database of the platform: DB_TYPE is not set")
	}
	missing, err := newTable(db, time.Local).missing(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("look for table tokens: %w", err)
	case len(missing) == len(needed()):
		return app.Skip("the platform's database has no table tokens")
	case len(missing) > 0:
		return app.Skip("table tokens is not the platform's: it has no column " + strings.Join(missing, ", "))
	}
	return nil
}

// table is the platform's. The feature is off while it has none.
func (c *cleanup) table() (*table, error) {
	db, ok := c.platform.DB()
	if !ok {
		return nil, errors.New("the database of the platform is closed")
	}
	return newTable(db, time.Local), nil
}

func (c *cleanup) expire(ctx context.Context) (any, error) {
	table, err := c.table()
	if err != nil {
		return nil, err
	}
	count, err := table.expire(ctx)
	c.log.InfoContext(ctx, "tokens expired", "count", count)
	if err != nil {
		return nil, fmt.Errorf("expire tokens: %w", err)
	}
	return Expired{Expired: count}, nil
}

func (c *cleanup) revoke(ctx context.Context) (any, error) {
	table, err := c.table()
	if err != nil {
		return nil, err
	}
	counts, err := table.revoke(ctx, c.thresholds)
	done := Revoked{ByType: counts}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		c.log.InfoContext(ctx, "inactive tokens revoked", "token_type", kind, "count", counts[kind])
		done.Revoked += counts[kind]
	}
	c.log.InfoContext(ctx, "all inactive tokens revoked", "count", done.Revoked)
	if err != nil {
		return nil, fmt.Errorf("revoke inactive tokens: %w", err)
	}
	return done, nil
}
