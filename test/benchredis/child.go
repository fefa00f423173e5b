package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/taktwork/takt/test/figures"
)

// endWithin is how long a child may take to end once it has been asked to.
const endWithin = 10 * time.Second

// child is a process that works or produces. It lives until it is closed, or
// its context ends.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

// start starts a child and waits until it is ready.
func start(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd}
	cmd.Stderr = &c.stderr
	cmd.WaitDelay = endWithin
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.stdin, c.lines = stdin, bufio.NewScanner(stdout)
	c.lines.Buffer(nil, 64<<20)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := c.await(func(m message) bool { return m.Ready }); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// begin tells the child to begin.
func (c *child) begin() error { return c.tell("begin") }

// working waits until a worker waits for jobs.
func (c *child) working() error { return c.await(func(m message) bool { return m.Working }) }

// enough tells a worker to stop.
func (c *child) enough() error { return c.tell("enough") }

func (c *child) tell(word string) error {
	_, err := io.WriteString(c.stdin, word+"\n")
	return err
}

// report waits for the child's report.
func (c *child) report() (report, error) {
	var found report
	err := c.await(func(m message) bool {
		if m.Report != nil {
			found = *m.Report
		}
		return m.Report != nil
	})
	if err != nil {
		return report{}, err
	}
	return found, nil
}

// await reads messages until one is the right one.
func (c *child) await(right func(message) bool) error {
	for c.lines.Scan() {
		var m message
		if err := json.Unmarshal(c.lines.Bytes(), &m); err != nil {
			return fmt.Errorf("%s said %q", c.cmd.Path, c.lines.Text())
		}
		if right(m) {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("%s ended too early", c.cmd.Path), c.lines.Err())
}

// close lets the child end and waits for that. What it complained about is an
// error.
func (c *child) close() error {
	_ = c.stdin.Close()
	// It has nothing more to say, and must not wait for a reader.
	for c.lines.Scan() {
	}
	err := c.cmd.Wait()
	if complaint := bytes.TrimSpace(c.stderr.Bytes()); len(complaint) > 0 {
		err = errors.Join(err, fmt.Errorf("%s: %s", c.cmd.Path, complaint))
	}
	return err
}

// finish runs a child that is ready to its report and closes it.
func (c *child) finish() (report, error) {
	err := c.begin()
	var found report
	if err == nil {
		found, err = c.report()
	}
	if err == nil {
		found.peak, err = figures.PeakOf(c.cmd.Process.Pid)
	}
	if err = errors.Join(err, c.close()); err != nil {
		return report{}, err
	}
	return found, nil
}

// produce runs a producer.
func produce(ctx context.Context, s side, what spec) (report, error) {
	c, err := start(s.producer(ctx, what))
	if err != nil {
		return report{}, fmt.Errorf("%s, producer: %w", s.name, err)
	}
	found, err := c.finish()
	if err != nil {
		return report{}, fmt.Errorf("%s, producer: %w", s.name, err)
	}
	return found, nil
}
