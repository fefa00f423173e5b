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
)

const (
	redisAnswersWithin = 20 * time.Second
	redisAskEvery      = 20 * time.Millisecond
)

// redisServer is a redis-server of our own that keeps nothing on disk.
type redisServer struct {
	addr, dir string
	cmd       *exec.Cmd
}

// startRedis starts a server on a free port. It ends with stop, or with ctx.
func startRedis(ctx context.Context) (*redisServer, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	s := &redisServer{addr: listener.Addr().String()}
	if err := listener.Close(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "benchsql-redis-"); err != nil {
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, "redis-server", "--port", strconv.Itoa(port), "--bind", "127.0.0.1", //nolint:gosec // the words here
		"--dir", s.dir, "--logfile", filepath.Join(s.dir, "redis.log"), "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start redis-server (make redis installs it): %w", err), os.RemoveAll(s.dir))
	}
	if err := s.await(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// await returns once the server takes connections.
func (s *redisServer) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, redisAnswersWithin)
	defer cancel()
	for {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", s.addr)
		if err == nil {
			return conn.Close()
		}
		if rest(ctx, redisAskEvery) != nil {
			return fmt.Errorf("redis-server does not answer: %w", err)
		}
	}
}

// stop ends the server and waits for its end.
func (s *redisServer) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	// How it ends is not what is measured here.
	_ = s.cmd.Wait()
	return os.RemoveAll(s.dir)
}
