package redisqueue

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// Ear is an ear without a consumer.
type Ear struct{ ear *ear }

// NewEar returns an ear whose connections come from dial.
func NewEar(dial func() net.Conn) Ear {
	options := Connection{}.blockingOptions("w")
	options.Dialer = func(context.Context, string, string) (net.Conn, error) { return dial(), nil }
	return Ear{newEar(redis.NewClient(options), "marker", newFailures(slog.New(slog.DiscardHandler), time.Now))}
}

// Listen listens, with a call behind, as a worker does with leases of a minute
// that knows of a job which is due then, or of none.
func (e Ear) Listen(ctx context.Context, due time.Duration) (answered bool) {
	return e.ear.listen(ctx, listeningFor(time.Minute, due), redis.NewCmd(ctx, "evalsha"))
}

// Away returns why the server counts as one that does not answer, nil if it does
// answer.
func (e Ear) Away() error {
	_, reason := e.ear.failures.state()
	return reason
}

// Close closes the ear.
func (e Ear) Close() error { return e.ear.close() }
