package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// binaryAt returns the path of the binary, which is built if it is missing.
func binaryAt(ctx context.Context, worker string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(worker) {
		worker = filepath.Join(root, worker)
	}
	if _, err = os.Stat(worker); !errors.Is(err, os.ErrNotExist) {
		return worker, err
	}
	build := exec.CommandContext(ctx, "make", "--no-print-directory", "build")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, output)
	}
	_, err = os.Stat(worker)
	return worker, err
}

// moduleRoot is the nearest directory upwards with a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no go.mod in %s or above", dir)
		}
	}
}

// worker is a process that runs the binary with the default configuration,
// its state directory excepted.
type worker struct {
	cmd  *exec.Cmd
	stop context.CancelFunc
	dir  string
	read chan struct{} // closed when all output has been read

	// ready is the time from exec to the log line, own what the line says of it.
	ready, own time.Duration
}

const (
	readyMessage = "worker ready"
	readyWithin  = 10 * time.Second
	stopWithin   = 10 * time.Second
)

// startWorker starts the binary and waits until it is ready.
func startWorker(ctx context.Context, binary string) (*worker, error) {
	dir, err := os.MkdirTemp("", "takt-bench-")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	w := &worker{stop: stop, dir: dir, read: make(chan struct{})}
	w.cmd = exec.CommandContext(ctx, binary, "run")
	w.cmd.Dir = dir
	w.cmd.Env = []string{"WORKER_STATE_DIR=" + dir, "WORKER_DATA_DIR=" + dir}
	w.cmd.Cancel = func() error { return w.cmd.Process.Signal(syscall.SIGTERM) }
	w.cmd.WaitDelay = stopWithin
	if err := w.start(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *worker) start() error {
	reader, writer, err := os.Pipe()
	if err != nil {
		close(w.read)
		return err
	}
	w.cmd.Stdout, w.cmd.Stderr = writer, writer
	began := time.Now()
	err = w.cmd.Start()
	_ = writer.Close()
	ready, output := make(chan string, 1), &strings.Builder{}
	go func() {
		defer close(w.read)
		defer func() { _ = reader.Close() }()
		w.watch(reader, began, ready, output)
	}()
	if err != nil {
		return err
	}
	select {
	case line := <-ready:
		w.own, err = parseReady(line)
		return err
	case <-w.read:
		return fmt.Errorf("the worker ended without being ready; it said:\n%s", output)
	case <-time.After(readyWithin):
		return fmt.Errorf("the worker is not ready within %s", readyWithin)
	}
}

// watch reads the output to its end, takes the time at which the worker is
// ready, and keeps what came before that.
func (w *worker) watch(reader io.Reader, began time.Time, ready chan<- string, output *strings.Builder) {
	lines := bufio.NewScanner(reader)
	isReady := false
	for lines.Scan() {
		switch {
		case isReady:
		case strings.Contains(lines.Text(), readyMessage):
			w.ready, isReady = time.Since(began), true
			ready <- lines.Text()
		default:
			output.WriteString(lines.Text() + "\n")
		}
	}
}

// close stops the worker and waits for its end.
func (w *worker) close() error {
	w.stop()
	if w.cmd.Process != nil {
		// How it ends is not what is measured here.
		_ = w.cmd.Wait()
	}
	<-w.read
	return os.RemoveAll(w.dir)
}

// parseReady reads duration_ms from the log line of a worker that is ready,
// be it text or JSON.
func parseReady(line string) (time.Duration, error) {
	found := regexp.MustCompile(`duration_ms"?[=:]\s*"?([0-9.]+)`).FindStringSubmatch(line)
	if found == nil {
		return 0, fmt.Errorf("no duration_ms in the line %q", line)
	}
	ms, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		return 0, fmt.Errorf("duration_ms: %w", err)
	}
	return time.Duration(ms * float64(time.Millisecond)), nil
}
