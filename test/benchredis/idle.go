package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/taktwork/takt/test/figures"
)

// idleSettle is how long a worker is left alone before it counts as idle.
const idleSettle = 3 * time.Second

// measureIdle counts what workers say to Redis that have nothing to do.
func (b *bench) measureIdle(ctx context.Context) ([]figures.Figure, error) {
	d, err := b.duel(ctx, 1, b.rest)
	if err != nil {
		return nil, err
	}
	return d.both("round trips of one queue", "a second", figures.AtMost(2), func(r turn) float64 {
		return float64(r.redis.calls) / r.Seconds
	}), nil
}

func (b *bench) rest(ctx context.Context, s side) (turn, error) {
	if err := b.server.empty(ctx); err != nil {
		return turn{}, err
	}
	what := b.server.spec(1)
	what.Concurrency = manyAtATime
	seconds := b.options.seconds
	var heard uint64
	_, err := b.worked(ctx, s, what, func(_ int, enough func() error) (err error) {
		if err := pause(ctx, idleSettle); err != nil {
			return err
		}
		if heard, err = b.server.hear(ctx, time.Duration(seconds)*time.Second); err != nil {
			return err
		}
		return enough()
	})
	return turn{report: report{Seconds: float64(seconds)}, redis: usage{calls: heard}}, err
}

// hear counts for a while the commands that clients send, not those that
// scripts call.
func (s *server) hear(ctx context.Context, d time.Duration) (count uint64, err error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		return 0, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if sentByClient(lines.Text()) {
			count++
		}
	}
	if err := lines.Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, fmt.Errorf("MONITOR ended too early: %w", err)
	}
	return count, nil
}

// sentByClient tells whether a line of MONITOR is about a command from
// outside:
//
//	+1700000000.123456 [0 127.0.0.1:50000] "PING"
//	+1700000000.123456 [0 lua] "ZCARD" "bull:bench:wait"
func sentByClient(line string) bool {
	_, rest, found := strings.Cut(line, " [")
	if !found {
		return false
	}
	source, _, _ := strings.Cut(rest, "]")
	return !strings.HasSuffix(source, " lua")
}
