package main

import (
	"log/slog"
	"net"
	"os"
	"strconv"

	"github.com/taktwork/takt/adapters/redisqueue"
)

// openBackend returns a backend with the defaults.
func openBackend(what spec) (*redisqueue.Backend, error) {
	return redisqueue.New(redisqueue.Config{
		Connection: redisqueue.Connection{Addr: net.JoinHostPort(what.Host, strconv.Itoa(what.Port))},
		Log:        childLog(),
	})
}

// childLog is for what should not happen: it makes a run fail.
func childLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
