package cli

import (
	"context"
	"errors"
	"log/slog"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/doctor"
	"github.com/taktwork/takt/core/domain"
)

// checkRedis surveys the server, and looks at the queues of the features if it
// does its work.
func (s *session) checkRedis(ctx context.Context, built features) ([]doctor.Finding, error) {
	loaded, _, err := s.loadPart(append(redisVariables(), "WORKER_LEDGER")...)
	if err != nil {
		return []doctor.Finding{doctor.NotMade(doctor.CheckRedis, seeConfiguration)}, nil //nolint:nilerr // the configuration is judged by itself
	}
	settings := app.SettingsFrom(loaded)
	if _, used := loaded.Redis(); !used {
		return []doctor.Finding{doctor.NotMade(doctor.CheckRedis, "not used: queues are in "+string(settings.Backend)+", claims in "+string(loaded.Queue.Ledger))}, nil
	}
	redis := doctor.Redis{
		Where: settings.Redis.String(), User: settings.Redis.Username, Address: redisAddress(loaded),
		Account: givenBy(loaded, "REDIS_URL", "REDIS_USER and REDIS_PASSWORD"),
	}
	backend, err := redisqueue.New(redisqueue.Config{
		Connection: settings.Redis, Prefix: settings.QueuePrefix, Namespace: settings.Namespace, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		redis.Err = err
		return redis.Findings(), nil //nolint:nilerr // it is judged
	}
	redis.Survey, redis.Err = backend.Survey(ctx)
	findings := redis.Findings()
	if settings.Backend == config.BackendRedis && redis.Err == nil && redis.Survey.Rights.Complete() && !redis.Survey.Loading {
		queues, queueErr := s.checkQueues(ctx, backend, built)
		findings, err = append(findings, queues...), queueErr
	}
	return findings, errors.Join(err, backend.Close())
}

// redisAddress names the variables that say where Redis is.
func redisAddress(loaded *config.Config) string {
	redis, _ := loaded.Redis()
	switch {
	case redis.Sentinel != nil:
		return "REDIS_SENTINELS and REDIS_SENTINEL_NAME"
	case len(redis.Nodes) > 0:
		return "REDIS_CLUSTER_NODES"
	}
	return givenBy(loaded, "REDIS_URL", "REDIS_HOST and REDIS_PORT")
}

func (s *session) checkQueues(ctx context.Context, backend *redisqueue.Backend, built features) ([]doctor.Finding, error) {
	worker, findings, err := s.buildable(doctor.CheckQueues, built)
	if worker == nil {
		return findings, err
	}
	return doctor.Queues(countQueues(ctx, backend, worker.Queues())), nil
}

func countQueues(ctx context.Context, backend *redisqueue.Backend, names []domain.QueueName) []doctor.Queue {
	queues := make([]doctor.Queue, 0, len(names))
	for _, name := range names {
		queue := doctor.Queue{Name: name}
		var counts []domain.QueueCounts
		if counts, queue.Err = backend.Counts(ctx, name); len(counts) == 1 {
			queue.Counts = counts[0]
		}
		queues = append(queues, queue)
		if ctx.Err() != nil {
			break
		}
	}
	return queues
}
