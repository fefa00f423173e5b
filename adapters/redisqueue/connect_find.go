package redisqueue

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

// finder knows who knows where the server is that has the queues' keys.
type finder interface {
	// find asks for its address, host:port. It does not say whether the server
	// answers there.
	find(ctx context.Context) (string, error)
	// doubt takes note that the latest answer led nowhere.
	doubt()
}

// askTimeout bounds what one guide is waited for: there are others.
const askTimeout = time.Second

// guides are servers that know where another one is. They are asked one after
// the other until one knows, first of all the one that knew the last time.
type guides struct {
	// what a guide is called in errors.
	what string
	// as says as whom to connect.
	as Connection

	mu    sync.Mutex
	addrs []string
}

// doubt implements [finder]: a guide may be cut off from the others, and know
// what was true once. The others are asked before it.
func (g *guides) doubt() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.addrs) > 1 {
		g.addrs = append(slices.Clone(g.addrs[1:]), g.addrs[0])
	}
}

// prefer has the address asked first.
func (g *guides) prefer(addr string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	others := slices.DeleteFunc(slices.Clone(g.addrs), func(other string) bool { return other == addr })
	g.addrs = append([]string{addr}, others...)
}

// ask puts the question to the guides. What they complain of is not the
// complaint of the server that is looked for: the error is none of Redis.
func (g *guides) ask(ctx context.Context, question func(ctx context.Context, guide *redis.Client, addr string) (string, error)) (string, error) {
	g.mu.Lock()
	addrs := g.addrs
	g.mu.Unlock()
	var complaints []string
	for _, addr := range addrs {
		found, err := g.askOne(ctx, addr, question)
		if err == nil {
			g.prefer(addr)
			return found, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		complaints = append(complaints, g.what+" "+addr+": "+domain.CleanText(err.Error(), domain.MaxReason))
	}
	return "", errors.New("nobody says where the server is: " + strings.Join(complaints, "; "))
}

func (g *guides) askOne(ctx context.Context, addr string, question func(ctx context.Context, guide *redis.Client, addr string) (string, error)) (string, error) {
	as := g.as
	as.Network, as.Addr = networkTCP, addr
	options := as.options()
	options.PoolSize, options.MaxActiveConns = 1, 1
	options.ReadBufferSize, options.WriteBufferSize = blockingBuffer, blockingBuffer
	options.ReadTimeout, options.WriteTimeout = askTimeout, askTimeout
	guide := as.open(options)
	defer guide.Close() //nolint:errcheck // asked and done
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return question(ctx, guide, addr)
}
