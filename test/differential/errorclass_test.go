package differential_test

import (
	"errors"
	"regexp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/ports"
)

// errorClass is an error that both sides know: Node's by its text, ours by a
// value.
type errorClass struct {
	name string
	node *regexp.Regexp
	ours error
}

// errorClasses are in the order in which they are tried.
func errorClasses() []errorClass {
	return []errorClass{
		{"no parent", regexp.MustCompile(`^Missing key for parent job`), redisqueue.ErrNoParent},
		{"no job", regexp.MustCompile(`^no job |^Missing key for job`), ports.ErrNotFound},
		{"another state", regexp.MustCompile(`is not in the .* state`), redisqueue.ErrOtherState},
		{"locked", regexp.MustCompile(`locked by another worker`), redisqueue.ErrLocked},
		{"scheduled", regexp.MustCompile(`belongs to a job scheduler`), redisqueue.ErrScheduled},
		{"another parent", regexp.MustCompile(`cannot be replaced`), redisqueue.ErrOtherParent},
		{"not paused", regexp.MustCompile(`non-paused queue`), redisqueue.ErrNotPaused},
		{"active jobs", regexp.MustCompile(`queue with active jobs`), redisqueue.ErrActive},
		{"run exists", regexp.MustCompile(`job ID already exists`), redisqueue.ErrRunExists},
		{"slots busy", regexp.MustCompile(`current and next time slots`), redisqueue.ErrSlotsBusy},
	}
}

// classOf returns the class of an error of Node's, or its text if it has none.
func classOf(message string) string {
	for _, class := range errorClasses() {
		if message != "" && class.node.MatchString(message) {
			return class.name
		}
	}
	return message
}

// ourClassOf returns the class of an error of ours, or its text.
func ourClassOf(err error) string {
	for _, class := range errorClasses() {
		if errors.Is(err, class.ours) {
			return class.name
		}
	}
	return err.Error()
}
