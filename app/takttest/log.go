package takttest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// mostLines is how much of the log a test that failed prints.
const mostLines = 200

// tail keeps the last lines of the log. With -v all lines go to the output at
// once instead: a test that hangs then shows how far it came.
type tail struct {
	mu      sync.Mutex
	direct  io.Writer
	lines   [][]byte
	next    int
	skipped int
}

// Write takes in one line, which is what the handlers of slog write.
func (t *tail) Write(line []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.direct != nil {
		return t.direct.Write(line)
	}
	if len(t.lines) < mostLines {
		t.lines = append(t.lines, bytes.Clone(line))
		return len(line), nil
	}
	t.lines[t.next] = append(t.lines[t.next][:0], line...)
	t.next = (t.next + 1) % mostLines
	t.skipped++
	return len(line), nil
}

// print writes the lines that were kept.
func (t *tail) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.skipped > 0 {
		_, _ = fmt.Fprintf(w, "%d earlier lines of the log are left out; go test -v prints all\n", t.skipped)
	}
	for i := range t.lines {
		_, _ = w.Write(t.lines[(t.next+i)%len(t.lines)])
	}
}

// logTo returns the worker's log, which is printed at the end of a test that
// failed, and what it tells of lost records.
func logTo(tb testing.TB, level slog.Level) (*slog.Logger, *losses) {
	tb.Helper()
	lines := &tail{}
	if testing.Verbose() {
		lines.direct = tb.Output()
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			lines.print(tb.Output())
		}
	})
	lost := &losses{}
	return slog.New(&watch{Handler: slog.NewTextHandler(lines, &slog.HandlerOptions{Level: level}), lost: lost}), lost
}

// losses counts the records that the worker could not keep.
type losses struct {
	mu    sync.Mutex
	count int64
}

func (l *losses) add(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count += n
}

func (l *losses) sum() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// watch is a handler that reads what the worker says about lost records.
type watch struct {
	slog.Handler

	lost *losses
}

// Enabled lets warnings pass, too, if the log is to hold none.
func (w *watch) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || w.Handler.Enabled(ctx, level)
}

// Handle reads the record and hands it on.
func (w *watch) Handle(ctx context.Context, record slog.Record) error { //nolint:gocritic // the signature is slog's
	if strings.HasPrefix(record.Message, "run records ") {
		record.Attrs(func(attr slog.Attr) bool {
			if attr.Key == "shed" || attr.Key == "count" {
				w.lost.add(attr.Value.Int64())
			}
			return true
		})
	}
	if !w.Handler.Enabled(ctx, record.Level) {
		return nil
	}
	return w.Handler.Handle(ctx, record)
}

// WithAttrs implements [slog.Handler].
func (w *watch) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &watch{Handler: w.Handler.WithAttrs(attrs), lost: w.lost}
}

// WithGroup implements [slog.Handler].
func (w *watch) WithGroup(name string) slog.Handler {
	return &watch{Handler: w.Handler.WithGroup(name), lost: w.lost}
}
