package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/taktwork/takt/app"
)

// Variables that make the feature slow in other places than its jobs.
const (
	slowBuild = "SLOW_BUILD"
	slowStart = "SLOW_START"
	slowStop  = "SLOW_STOP"
	// listening makes the feature do what no worker may.
	listening = "SLOW_LISTEN"
)

func module() app.Option {
	return app.Feature("slow", func(s *slow) app.Contribution {
		return app.Contribution{
			Queues: []string{"slow"},
			Jobs: []app.ScheduledJob{
				app.Schedule("slow.ran", s.ran),
				app.Schedule("slow.failed", s.failed),
				app.Schedule("slow.skipped", s.skipped),
				app.Schedule("slow.disabled", s.ran, app.Enabled(false)),
				app.Schedule("slow.queued", s.ran, app.ToQueue("slow"), app.QueueJobName("slow.quick")),
			},
			Handlers: []app.Handler{
				app.Handle("slow", "slow.quick", s.quick),
				app.Handle("slow", "slow.wait", s.wait),
				app.Handle("slow", "slow.hang", s.hang),
				app.Handle("slow", "slow.bad", s.bad),
			},
		}
	}, app.Provide(newSlow))
}

type slow struct {
	log     *slog.Logger
	forever chan struct{}
	open    io.Closer
}

func newSlow(lifecycle app.Lifecycle, log *slog.Logger) *slow {
	s := &slow{log: log, forever: make(chan struct{})}
	if os.Getenv(slowBuild) != "" {
		log.Info("slow build")
		<-s.forever
	}
	lifecycle.Append(app.Hook{
		OnStart: func(ctx context.Context) error {
			if network := os.Getenv(listening); network != "" {
				return s.listen(ctx, network)
			}
			if os.Getenv(slowStart) == "" {
				return nil
			}
			log.InfoContext(ctx, "slow start")
			<-ctx.Done()
			return context.Cause(ctx)
		},
		OnStop: func(ctx context.Context) error {
			if os.Getenv(slowStop) != "" {
				log.InfoContext(ctx, "slow stop")
				<-s.forever
			}
			return nil
		},
	})
	return s
}

func (s *slow) listen(ctx context.Context, network string) error {
	var config net.ListenConfig
	var err error
	if network == "udp" {
		s.open, err = config.ListenPacket(ctx, network, ":0")
	} else {
		s.open, err = config.Listen(ctx, network, ":0")
	}
	return err
}

func (s *slow) ran(context.Context, app.Run) (any, error) { return map[string]int{"rows": 7}, nil }

func (s *slow) failed(context.Context, app.Run) (any, error) {
	return nil, app.Permanent(errors.New("no such table"))
}

func (s *slow) skipped(context.Context, app.Run) (any, error) {
	return nil, app.Skip("nothing to do")
}

func (s *slow) quick(ctx context.Context, job app.Job[any]) (any, error) {
	s.log.InfoContext(ctx, "slow job done", "job_id", string(job.ID), "attempt", job.AttemptsStarted)
	return nil, nil
}

func (s *slow) bad(context.Context, app.Job[any]) (any, error) {
	return nil, app.Permanent(errors.New("no such table"))
}

// wait ends when it is told to.
func (s *slow) wait(ctx context.Context, _ app.Job[any]) (any, error) {
	s.log.InfoContext(ctx, "slow job began")
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// hang never ends.
func (s *slow) hang(ctx context.Context, _ app.Job[any]) (any, error) {
	s.log.InfoContext(ctx, "slow job began")
	<-s.forever
	return nil, nil
}
