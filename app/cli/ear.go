package cli

import (
	"os"
	"time"
)

// echo is within what time the same signal again is the same request: a
// wrapper that signals its child and then their process group sends it twice.
// A person who presses Ctrl-C twice takes longer.
const echo = 50 * time.Millisecond

// ear counts the signals that ask for something.
type ear struct {
	heard int
	last  os.Signal
	at    time.Time
}

// hear takes in a signal and reports whether it counts.
func (e *ear) hear(got os.Signal, now time.Time) bool {
	if got == e.last && now.Sub(e.at) < echo {
		return false
	}
	e.heard++
	e.last, e.at = got, now
	return true
}
