package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/test/figures"
)

// idleFor is how long the server's own instructions are counted.
const idleFor = 3 * time.Second

// measureInstructions counts the instructions of a redis-server of its own
// under valgrind: what a job costs there, free of noise. What the server does
// by itself meanwhile is taken off.
func (b *bench) measureInstructions(ctx context.Context) (all []figures.Figure, err error) {
	if _, err := exec.LookPath("valgrind"); err != nil {
		return nil, errors.New("valgrind is not installed: apt-get install valgrind")
	}
	out, err := os.MkdirTemp("", "takt-callgrind-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(out)) }()
	counted, err := startServer(ctx, "valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file="+filepath.Join(out, "counts"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, counted.stop()) }()

	onCounted := *b
	onCounted.server = counted
	counter := &counter{pid: counted.cmd.Process.Pid, out: out}
	idle, err := counter.idle(ctx)
	if err != nil {
		return nil, err
	}
	d, err := b.duel(ctx, 1, func(ctx context.Context, s side) (turn, error) {
		return onCounted.count(ctx, s, counter, idle)
	})
	if err != nil {
		return nil, err
	}
	value := func(r turn) float64 { return r.instructions / float64(r.jobs) }
	all = []figures.Figure{d.ratio("instructions of Redis a job", figures.AtMost(0.4), value)}
	return append(all, d.both("instructions of Redis a job", "", nil, value)...), nil
}

// count lets the side's worker drain a queue twice, and counts the second
// time: the scripts are there then.
func (b *bench) count(ctx context.Context, s side, counter *counter, idle float64) (turn, error) {
	if _, err := b.drain(ctx, s, b.options.counted/10, manyAtATime); err != nil {
		return turn{}, err
	}
	jobs := b.options.counted
	if err := b.fill(ctx, jobs); err != nil {
		return turn{}, err
	}
	if err := counter.zero(ctx); err != nil {
		return turn{}, err
	}
	began := time.Now()
	r, err := b.work(ctx, s, jobs, manyAtATime)
	if err != nil {
		return turn{}, err
	}
	took := time.Since(began).Seconds()
	total, err := counter.read(ctx)
	r.instructions = total - idle*took
	return r, err
}

// counter counts the instructions of a process under callgrind.
type counter struct {
	pid int
	out string
}

// idle counts the instructions a second of a process that nobody asks.
func (c *counter) idle(ctx context.Context) (float64, error) {
	if err := c.zero(ctx); err != nil {
		return 0, err
	}
	if err := pause(ctx, idleFor); err != nil {
		return 0, err
	}
	total, err := c.read(ctx)
	return total / idleFor.Seconds(), err
}

func (c *counter) zero(ctx context.Context) error { return c.tell(ctx, "zero") }

// read returns the instructions since the latest zero.
func (c *counter) read(ctx context.Context) (float64, error) {
	before, err := c.dumps()
	if err != nil {
		return 0, err
	}
	if err := c.tell(ctx, "dump"); err != nil {
		return 0, err
	}
	after, err := c.dumps()
	if err != nil {
		return 0, err
	}
	if len(after) != len(before)+1 {
		return 0, fmt.Errorf("callgrind has %d dumps, want %d", len(after), len(before)+1)
	}
	text, err := os.ReadFile(filepath.Join(c.out, "counts."+strconv.Itoa(len(after))))
	if err != nil {
		return 0, err
	}
	return parseTotals(string(text))
}

func (c *counter) dumps() ([]string, error) { return filepath.Glob(filepath.Join(c.out, "counts.*")) }

// tell gives callgrind an order, which it has carried out on return.
func (c *counter) tell(ctx context.Context, order string) error {
	output, err := exec.CommandContext(ctx, "vgdb", "--pid="+strconv.Itoa(c.pid), order).CombinedOutput() //nolint:gosec // an order of ours
	if err != nil {
		return fmt.Errorf("vgdb %s: %w: %s", order, err, output)
	}
	return nil
}

// parseTotals finds the number of instructions in a dump of callgrind.
func parseTotals(dump string) (float64, error) {
	for line := range strings.Lines(dump) {
		if total, found := strings.CutPrefix(line, "totals:"); found {
			return strconv.ParseFloat(strings.TrimSpace(total), 64)
		}
	}
	return 0, errors.New("callgrind's dump has no totals")
}
