package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	loopback = "127.0.0.1"
	// answersWithin is how long a server may take to answer; valgrind makes
	// it slow.
	answersWithin = 60 * time.Second
	askEvery      = 20 * time.Millisecond
)

// server is a redis-server of our own that keeps nothing on disk.
type server struct {
	port   int
	dir    string
	cmd    *exec.Cmd
	client *redis.Client
}

// startServer starts a server on a free port, as the last arguments of the
// wrapping command if there is one. It ends with stop, or with ctx.
func startServer(ctx context.Context, wrapper ...string) (*server, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "takt-benchredis-")
	if err != nil {
		return nil, err
	}
	command := append(wrapper, "redis-server", "--port", strconv.Itoa(port), "--bind", loopback, "--dir", dir,
		"--logfile", filepath.Join(dir, "redis.log"), "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
	s := &server{port: port, dir: dir}
	s.cmd = exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the words above
	s.cmd.Dir = dir
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = endWithin
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.client = redis.NewClient(&redis.Options{
		Addr: s.addr(), MaxRetries: -1, DisableIdentity: true, PoolSize: 1,
		ReadTimeout: answersWithin, WriteTimeout: answersWithin, DialerRetries: 1,
	})
	if err := s.awaitAnswer(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *server) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	for {
		// The client would complain in public.
		conn, err := s.dial(ctx)
		if err == nil {
			return errors.Join(conn.Close(), s.client.Ping(ctx).Err())
		}
		if pause(ctx, askEvery) != nil {
			return fmt.Errorf("redis-server does not answer: %w", err)
		}
	}
}

func (s *server) addr() string { return net.JoinHostPort(loopback, strconv.Itoa(s.port)) }

func (s *server) dial(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", s.addr())
}

// stop ends the server and waits for its end.
func (s *server) stop() error {
	_ = s.client.Close()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	// How it ends is not what is measured here.
	_ = s.cmd.Wait()
	return os.RemoveAll(s.dir)
}

// spec returns a specification for a child that talks to the server.
func (s *server) spec(jobs int) spec {
	return spec{Host: loopback, Port: s.port, Queue: queueName, Name: jobName, Bytes: payloadBytes, Jobs: jobs, Chunk: chunk}
}

// empty removes all that the server holds.
func (s *server) empty(ctx context.Context) error { return s.client.FlushAll(ctx).Err() }

// drained checks that the queue's jobs are all completed, and none is left.
func (s *server) drained(ctx context.Context, jobs int) error {
	key := "bull:" + queueName + ":"
	completed, err := s.client.ZCard(ctx, key+"completed").Result()
	if err != nil {
		return err
	}
	failed, err := s.client.ZCard(ctx, key+"failed").Result()
	if err != nil {
		return err
	}
	active, err := s.client.LLen(ctx, key+"active").Result()
	if err != nil {
		return err
	}
	if int(completed) != jobs || failed != 0 || active != 0 {
		return fmt.Errorf("%d jobs completed, %d failed, %d active, want %d completed", completed, failed, active, jobs)
	}
	return nil
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
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
