package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

const (
	childArgument = "child"
	workerRole    = "worker"
	producerRole  = "producer"
)

// runChild is the process of a worker or producer of Takt.
func runChild(ctx context.Context, args []string) int {
	if err := childMain(ctx, args, os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "benchredis:", err)
		return 1
	}
	return 0
}

func childMain(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 2 {
		return errors.New("a child needs a role and a specification")
	}
	var what spec
	if err := json.Unmarshal([]byte(args[1]), &what); err != nil {
		return fmt.Errorf("read specification: %w", err)
	}
	t := newTalk(stdin, stdout)
	switch args[0] {
	case workerRole:
		return work(ctx, what, t)
	case producerRole:
		return add(ctx, what, t)
	}
	return fmt.Errorf("no role %q", args[0])
}

// talk is the child's end of the talk with its starter.
type talk struct {
	stdout io.Writer
	// begun is closed by the word to begin, enough by the word to stop or by
	// the end of the input, ended by that.
	begun, enough, ended chan struct{}
}

// newTalk listens until its starter hangs up.
func newTalk(stdin io.Reader, stdout io.Writer) *talk {
	t := &talk{stdout: stdout, begun: make(chan struct{}), enough: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(t.ended)
		hadEnough := sync.OnceFunc(func() { close(t.enough) })
		defer hadEnough()
		lines := bufio.NewScanner(stdin)
		if !lines.Scan() {
			return
		}
		close(t.begun)
		for lines.Scan() {
			hadEnough()
		}
	}()
	return t
}

func (t *talk) say(m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = io.Copy(t.stdout, strings.NewReader(string(text)+"\n"))
	return err
}

// ready asks for the word to begin and waits for it.
func (t *talk) ready(ctx context.Context) error {
	if err := t.say(message{Ready: true}); err != nil {
		return err
	}
	select {
	case <-t.begun:
		return nil
	case <-t.ended:
		return errors.New("nobody said to begin")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// report says the report and waits until it has been taken.
func (t *talk) report(ctx context.Context, r report) error {
	if err := t.say(message{Report: &r}); err != nil {
		return err
	}
	select {
	case <-t.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
