package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// redisPatience is how long a command waits for Redis to answer one call.
const redisPatience = 10 * time.Second

// loadRedis reads the configuration for a command that goes to Redis itself.
func (s *session) loadRedis() (*config.Config, config.Report, error) {
	return s.loadPart(redisVariables()...)
}

// redisVariables are those that say where Redis is and what is kept there.
func redisVariables() []string {
	names := []string{"WORKER_QUEUE_BACKEND", "WORKER_QUEUE_ENABLED", "WORKER_MAX_PAYLOAD", "WORKER_NAMESPACE"}
	for _, variable := range config.Variables() {
		if variable.Group == "Redis" {
			names = append(names, variable.Name)
		}
	}
	return names
}

// redisDoor puts jobs straight into Redis, where no worker need run.
type redisDoor struct {
	backend *redisqueue.Backend
}

func openRedisDoor(ctx context.Context, loaded *config.Config) (*redisDoor, error) {
	settings := app.SettingsFrom(loaded)
	backend, err := redisqueue.New(redisqueue.Config{
		Connection: settings.Redis, Prefix: settings.QueuePrefix, Namespace: settings.Namespace,
		Profile: redisqueue.Profile(settings.BullMQProfile), MaxPayload: settings.MaxPayload, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	door := &redisDoor{backend: backend}
	_, err = patiently(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, backend.Await(ctx) })
	if err != nil {
		return nil, errors.Join(err, door.close())
	}
	return door, nil
}

func (d *redisDoor) put(ctx context.Context, jobs []domain.NewJob) ([]answer, error) {
	results, err := patiently(ctx, func(ctx context.Context) ([]domain.EnqueueResult, error) {
		results, err := d.backend.Enqueue(ctx, jobs...)
		if _, reason := d.backend.Health(); reason != nil && errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("enqueue: %w: %s", ports.ErrUnavailable, domain.CleanText(reason.Error(), domain.MaxReason))
		}
		return results, err
	})
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(results))
	for i, result := range results {
		answers[i] = answer{Queue: string(jobs[i].Queue), Name: jobs[i].Name, ID: string(result.ID), Status: result.Status.String()}
	}
	return answers, nil
}

func (d *redisDoor) close() error { return d.backend.Close() }

// patiently calls Redis for as long as the patience lasts. A signal ends the
// wait at once; what the call then still does nobody is told.
func patiently[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	called := async(func() (T, error) { return call(limited) })
	select {
	case r := <-called:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
