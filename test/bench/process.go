package main

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"time"

	"github.com/taktwork/takt/test/figures"
)

const (
	starts      = 10
	idleSettle  = 5 * time.Second
	idleWindow  = 10 * time.Second
	idleWindows = 3 // as long as the heartbeat's period
)

// measureStart starts the binary several times.
func measureStart(ctx context.Context, path string) ([]figures.Figure, error) {
	binary, err := binaryAt(ctx, path)
	if err != nil {
		return nil, err
	}
	var ready, own []float64
	for range starts {
		w, err := startWorker(ctx, binary)
		if err != nil {
			return nil, err
		}
		ready, own = append(ready, milliseconds(w.ready)), append(own, milliseconds(w.own))
		if err := w.close(); err != nil {
			return nil, err
		}
	}
	return []figures.Figure{
		figures.New("exec to ready", "ms", ready, figures.AtMost(50)),
		figures.New("start by its own account", "ms", own, nil),
	}, nil
}

// measureIdle leaves a worker alone and looks at what it takes.
func measureIdle(ctx context.Context, path string) ([]figures.Figure, error) {
	binary, err := binaryAt(ctx, path)
	if err != nil {
		return nil, err
	}
	w, err := startWorker(ctx, binary)
	if err != nil {
		return nil, err
	}
	taken, err := w.idle(ctx)
	if failed := w.close(); err == nil {
		err = failed
	}
	return taken, err
}

func (w *worker) idle(ctx context.Context) ([]figures.Figure, error) {
	if err := pause(ctx, idleSettle); err != nil {
		return nil, err
	}
	var resident, busy []float64
	for range idleWindows {
		began := time.Now()
		before, err := figures.CPUOf(w.cmd.Process.Pid)
		if err != nil {
			return nil, err
		}
		bytes, err := figures.ResidentOf(w.cmd.Process.Pid)
		if err != nil {
			return nil, err
		}
		if err := pause(ctx, idleWindow); err != nil {
			return nil, err
		}
		after, err := figures.CPUOf(w.cmd.Process.Pid)
		if err != nil {
			return nil, err
		}
		resident = append(resident, mebibytes(bytes))
		busy = append(busy, 100*float64(after-before)/float64(time.Since(began)))
	}
	return []figures.Figure{
		figures.New("resident memory", "MiB", resident, figures.AtMost(25)),
		figures.New("processor time", "% of a core", busy, figures.AtMost(0.1)),
	}, nil
}

// measureBinary looks at the file.
func measureBinary(ctx context.Context, path string) ([]figures.Figure, error) {
	binary, err := binaryAt(ctx, path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(binary)
	if err != nil {
		return nil, err
	}
	needs, err := loaders(binary)
	if err != nil {
		return nil, err
	}
	return []figures.Figure{
		figures.New("size", "MB", []float64{float64(info.Size()) / 1e6}, figures.AtMost(30)),
		figures.New("dynamic loaders needed", "", []float64{float64(needs)}, figures.AtMost(0)),
	}, nil
}

// loaders counts the interpreters an ELF file asks for: none if it is static.
func loaders(path string) (int, error) {
	file, err := elf.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	defer func() { _ = file.Close() }()
	count := 0
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			count++
		}
	}
	return count, nil
}

// pause returns after d, or with ctx's error when that ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mebibytes(bytes uint64) float64 { return float64(bytes) / (1 << 20) }
