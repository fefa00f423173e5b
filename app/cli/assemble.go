package cli

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/schedule"
)

// load reads the configuration; its error holds all problems.
func (s *session) load(options ...config.Option) (*config.Config, config.Report, error) {
	if s.sourceErr != nil {
		return nil, config.Report{}, fmt.Errorf("read configuration: %w", s.sourceErr)
	}
	loaded, report := config.Load(s.source, append(options, config.WithCronCheck(checkCron))...)
	return loaded, report, report.Err()
}

// look is load for a command that starts no worker.
func (s *session) look() (*config.Config, config.Report, error) {
	return s.load(config.WithoutStorage())
}

// loadPart reads the configuration for a command that needs only the named
// variables. Its report has the mistakes in others as warnings.
func (s *session) loadPart(names ...string) (*config.Config, config.Report, error) {
	if s.sourceErr != nil {
		return nil, config.Report{}, fmt.Errorf("read configuration: %w", s.sourceErr)
	}
	loaded, report := config.LoadPart(s.source, names, config.WithCronCheck(checkCron))
	return loaded, report, report.Err()
}

func checkCron(expression, zone string) error {
	_, err := schedule.ParseCron(expression, zone)
	return err
}

// assemble builds the worker of the modules; it starts nothing.
func (s *session) assemble(loaded *config.Config, log *slog.Logger) (*app.App, error) {
	options := append([]app.Option{app.Supply(loaded)}, s.modules...)
	return app.New(app.SettingsFrom(loaded), log, options...)
}

// registered builds the worker to look at its registrations. Constructors of
// features may take their time; ctx ends the wait.
func (s *session) registered(ctx context.Context, loaded *config.Config) (*app.App, error) {
	built := async(func() (*app.App, error) { return s.assemble(loaded, slog.New(slog.DiscardHandler)) })
	select {
	case r := <-built:
		return r.value, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// command is a command that a signal interrupts.
type command func(ctx context.Context, cmd *cobra.Command, args []string) error

// interruptibly adapts a command to cobra.
func (s *session) interruptibly(run command) func(cmd *cobra.Command, args []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, done := s.interruptible(cmd.Context())
		defer done()
		return run(ctx, cmd, args)
	}
}
