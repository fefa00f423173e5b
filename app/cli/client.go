package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
)

const instanceFlag = "instance"

func addInstance(cmd *cobra.Command, instance *string) {
	cmd.Flags().StringVar(instance, instanceFlag, "", "`name` of the worker to ask (WORKER_INSTANCE), when several run on this host")
}

func addJSON(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON")
}

const instanceVariable = "WORKER_INSTANCE"

// loadClient reads what is needed to find a worker.
func (s *session) loadClient() (*config.Config, config.Report, error) {
	return s.loadPart("WORKER_NAMESPACE", "WORKER_STATE_DIR", instanceVariable)
}

// warn prints the warnings of a report.
func (s *session) warn(report config.Report) {
	for _, warning := range report.Warnings {
		s.note("%s (warning)", printableText(warning.String()))
	}
}

// worker finds the worker to talk to: the one that is wanted, by the flag or
// else by an explicit WORKER_INSTANCE, or the only one.
func (s *session) worker(loaded *config.Config, wanted string) (control.Instance, error) {
	if wanted == "" && loaded.Origin(instanceVariable).Kind != config.FromDefault {
		wanted = loaded.Process.Instance
	}
	live, err := control.Instances(loaded.Process.StateDir, loaded.Process.Namespace)
	if err != nil {
		return control.Instance{}, err
	}
	found, err := control.Pick(live, wanted)
	return found, s.explain(loaded, err)
}

// anyWorker is worker for requests that every worker answers alike.
func (s *session) anyWorker(loaded *config.Config, wanted string) (control.Instance, error) {
	found, err := s.worker(loaded, wanted)
	if several, ok := errors.AsType[*control.AmbiguousError](err); ok {
		return several.Instances[0], nil
	}
	return found, err
}

func (s *session) explain(loaded *config.Config, err error) error {
	if _, several := errors.AsType[*control.AmbiguousError](err); several {
		return fmt.Errorf("%w; choose one with --%s", err, instanceFlag)
	}
	if errors.Is(err, control.ErrNoWorker) {
		return fmt.Errorf("%w in namespace %s of %s; start one with \"%s run\"", err,
			loaded.Process.Namespace, printable(loaded.Process.StateDir), s.name)
	}
	return err
}

// question is a request to a worker.
type question struct {
	method string
	params any
}

// call asks the worker. A refusal is given as the worker words it.
func call(ctx context.Context, worker control.Instance, q question, reply any) error {
	err := worker.Call(ctx, q.method, q.params, reply)
	if remote, ok := errors.AsType[*control.RemoteError](err); ok {
		return remote
	}
	if err != nil {
		return fmt.Errorf("worker %s: %w", worker.Name, err)
	}
	return nil
}
