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

const (
	// askTimeout bounds what one guide is waited for: there are others.
	askTimeout = time.Second
	// askNext is how long one guide is waited for before the next is asked as
	// well, askMost how many are asked at a time.
	askNext = 100 * time.Millisecond
	askMost = 16
)

// guides are servers that know where another one is. They are asked until one
// knows, first of all the one that knew the last time.
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

// question is what a guide is asked.
type question func(ctx context.Context, guide *redis.Client, addr string) (string, error)

// told is what came of asking the guide.
type told struct {
	addr, found string
	err         error
}

// ask puts the question to the guides. What they complain of is not the
// complaint of the server that is looked for: the error is none of Redis.
func (g *guides) ask(ctx context.Context, q question) (string, error) {
	g.mu.Lock()
	addrs := g.addrs
	g.mu.Unlock()
	asking, stop := context.WithCancel(ctx)
	var asked sync.WaitGroup
	defer asked.Wait()
	defer stop()
	answers := make(chan told, len(addrs))
	next := time.NewTicker(askNext)
	defer next.Stop()
	var complaints []string
	for begun := 0; len(complaints) < len(addrs); {
		if begun < len(addrs) && begun-len(complaints) < askMost {
			addr := addrs[begun]
			asked.Go(func() { answers <- g.askOne(asking, addr, q) })
			begun++
		}
		select {
		case answer := <-answers:
			if answer.err == nil {
				// Those that are asked still may add to the guides.
				stop()
				asked.Wait()
				g.prefer(answer.addr)
				return answer.found, nil
			}
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			complaints = append(complaints, g.what+" "+answer.addr+": "+domain.CleanText(answer.err.Error(), domain.MaxReason))
		case <-next.C:
		}
	}
	return "", errors.New("nobody says where the server is: " + strings.Join(complaints, "; "))
}

func (g *guides) askOne(ctx context.Context, addr string, q question) told {
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
	// A read goes on when its context is canceled.
	defer context.AfterFunc(ctx, func() { _ = guide.Close() })()
	found, err := q(ctx, guide, addr)
	return told{addr: addr, found: found, err: err}
}
