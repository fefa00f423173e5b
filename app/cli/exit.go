package cli

import (
	"errors"
	"syscall"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// The exit codes of all commands; the numbers are those of sysexits.h.
const (
	// ExitOK is success, and a stop that left nothing undone.
	ExitOK = 0
	// ExitUsage is a command line that makes no sense.
	ExitUsage = 64
	// ExitBadData is data, a name or an expression that was refused.
	ExitBadData = 65
	// ExitUnavailable is something that is needed and does not answer, such
	// as a running worker.
	ExitUnavailable = 69
	// ExitInternal is a fault of the worker or of a handler.
	ExitInternal = 70
	// ExitAbandoned is a stop that left work undone, or was cut short.
	ExitAbandoned = 75
	// ExitConfig is a configuration or a set of features with mistakes.
	ExitConfig = 78
)

const exitCodes = `Exit codes: 0 ok, 64 usage, 65 bad data, 69 unavailable, 70 internal error or
failed run, 75 stopped with unfinished work or interrupted, 78 configuration.`

// errInterrupted ends a command that a signal cut short.
var errInterrupted = errors.New("interrupted")

// exitError gives an error the code that the process exits with. Without an
// error there is nothing to say that was not said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// codeOf maps an error to the documented exit code; what nobody marked is an
// internal error.
func codeOf(err error) int {
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	_, badConfig := errors.AsType[*config.InvalidError](err)
	_, badFeatures := errors.AsType[*app.RegistrationError](err)
	_, badCron := errors.AsType[*schedule.ParseError](err)
	switch {
	case err == nil:
		return ExitOK
	case badConfig, badFeatures, isAny(err, control.ErrConfig, app.ErrStorage, storage.ErrRefused):
		return ExitConfig
	case errors.Is(err, errInterrupted):
		return ExitAbandoned
	case badCron, isAny(err, domain.ErrInvalid, domain.ErrTooLarge, runner.ErrUnknownJob, runner.ErrDisabled, app.ErrQueueingOff):
		return ExitBadData
	case isAny(err, control.ErrInUse, ports.ErrUnavailable, ports.ErrQueueFull, app.ErrNoOutbox):
		return ExitUnavailable
	}
	switch control.CodeOf(err) {
	case control.CodeUsage:
		return ExitUsage
	case control.CodeBadData:
		return ExitBadData
	case control.CodeUnavailable:
		return ExitUnavailable
	case control.CodeInternal:
	}
	return ExitInternal
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func isClosedPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
