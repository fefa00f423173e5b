package redistest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
)

// Run starts a server for an Example function, which has no test that would
// stop it: stop does. What fails is a panic.
func Run(args ...string) (server *Server, stop func()) {
	tb := &example{}
	return Start(tb, args...), tb.end
}

// example is the part of a test that servers need.
type example struct {
	testing.TB

	cleanups []func()
}

// Helper does nothing: there is no line to report.
func (e *example) Helper() {}

// Context returns a context that never ends.
func (e *example) Context() context.Context { return context.Background() }

// Cleanup has f called at the end of the example, the last first.
func (e *example) Cleanup(f func()) { e.cleanups = append(e.cleanups, f) }

// Fatalf ends the example.
func (e *example) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Errorf ends the example, too.
func (e *example) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Logf says nothing: the output of an example is compared.
func (e *example) Logf(string, ...any) {}

// TempDir returns a directory that is removed at the end of the example.
func (e *example) TempDir() string {
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		e.Fatalf("make directory: %v", err)
	}
	e.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (e *example) end() {
	for _, f := range slices.Backward(e.cleanups) {
		f()
	}
}
