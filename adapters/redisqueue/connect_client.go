package redisqueue

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/taktwork/takt/core/domain"
)

const (
	// dialTimeout, ioTimeout and poolTimeout bound what one call waits for: a
	// server that is silent is given up, and found again, within seconds.
	dialTimeout = 3 * time.Second
	ioTimeout   = 3 * time.Second
	poolTimeout = 4 * time.Second
	// maxBlock is the longest time that a blocking call asks the server to
	// wait; a wake-up that got lost costs no more than this.
	maxBlock = 2 * time.Second
	// idleTimeout closes what a burst has opened.
	idleTimeout = 5 * time.Minute

	// commandConns bounds the connections of a command client: settling,
	// extending, enqueueing and the ledger seldom need more at a time.
	commandConns = 8
	// A connection keeps these buffers for its life. Scripts are called with
	// large arguments, which are written past the buffer.
	commandBuffer  = 16 << 10
	blockingBuffer = 4 << 10
)

// NewClient returns a client for commands and scripts. It sends each command
// once: whether it may be sent again is for the caller to know. It has few
// connections, opens them when they are needed, and gives up on a silent
// server after seconds; the deadline of a context shortens that. It does not
// connect yet. The caller closes it.
//
// With sentinels or a cluster it is a client of one server all the same: of the
// primary, or of the node that has the keys of the prefix. When that becomes
// another one, commands fail until the client has found it.
func NewClient(c Connection, prefix string) *redis.Client {
	client, _ := c.newClient(prefix)
	return client
}

// newClient is NewClient with what leads its connections, nil if it is one
// server.
func (c Connection) newClient(prefix string) (*redis.Client, *follower) {
	options := c.options()
	options.PoolSize, options.MaxActiveConns = commandConns, commandConns
	options.ReadBufferSize, options.WriteBufferSize = commandBuffer, commandBuffer
	options.ReadTimeout = ioTimeout
	return c.openFor(prefix, options)
}

// NewBlockingClient returns a client like [NewClient] of one connection, for
// commands that block, of [maxBlock] at most. The connection has the name, by which tools
// count workers; see [ClientName]. Only the deadline of a context interrupts a
// command that blocks, its end does not: close the client to abort one.
func NewBlockingClient(c Connection, prefix, name string) *redis.Client {
	client, _ := c.openFor(prefix, c.blockingOptions(name))
	return client
}

func (c Connection) blockingOptions(name string) *redis.Options {
	options := c.options()
	options.ClientName = name
	options.PoolSize, options.MaxActiveConns = 1, 1
	options.ReadBufferSize, options.WriteBufferSize = blockingBuffer, blockingBuffer
	options.ReadTimeout = maxBlock + ioTimeout
	return options
}

// ClientName is the name that BullMQ's tools know a worker of the queue by.
// Bytes that Redis does not take in names are replaced in the worker's.
func ClientName(prefix string, queue domain.QueueName, worker string) string {
	name := prefix + ":" + base64.StdEncoding.EncodeToString([]byte(queue))
	if worker == "" {
		return name
	}
	visible := []byte(worker)
	for i, b := range visible {
		if b < '!' || b > '~' {
			visible[i] = '-'
		}
	}
	return name + ":w:" + string(visible)
}

// options are what all clients have in common. Everything that has a default
// of the library's is set, for defaults change.
func (c Connection) options() *redis.Options {
	c = c.withDefaults()
	return &redis.Options{
		Network: c.Network, Addr: c.Addr, Dialer: c.dialer(),
		Username: c.Username, Password: c.Password.Reveal(), DB: c.DB,

		// The library would send a script again after a lost reply, and so run
		// it twice.
		MaxRetries: -1, MinRetryBackoff: -1, MaxRetryBackoff: -1,
		DialerRetries: 1, DialTimeout: dialTimeout,
		WriteTimeout: ioTimeout, PoolTimeout: poolTimeout, ContextTimeoutEnabled: true,

		// RESP2 has all that scripts reply with, and no pushes to look for
		// before each reply.
		Protocol:                 2,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		// CLIENT SETINFO is unknown before Redis 7.2, and needs a right.
		DisableIdentity: true,

		// Pipelines share the pool instead of having one of their own.
		PipelinePoolSize: -1,
		ConnMaxIdleTime:  idleTimeout,
	}
}

// openFor returns a client of the server that has the keys of the prefix.
func (c Connection) openFor(prefix string, options *redis.Options) (*redis.Client, *follower) {
	if !c.follows() {
		return c.open(options), nil
	}
	f := newFollower(c.finder(prefix), options.Dialer)
	options.Network, options.Addr = networkTCP, "primary"
	options.Dialer, options.DialTimeout = f.dial, followTimeout
	client := c.open(options)
	client.AddHook(f)
	return client, f
}

func (c Connection) finder(prefix string) finder {
	if c.Sentinel != nil {
		return newSentinelFinder(c.Sentinel)
	}
	return newClusterFinder(c, prefix)
}

func (c Connection) open(options *redis.Options) *redis.Client {
	// The library's own log goes to stderr and repeats, at each attempt, what
	// calls return as errors.
	redis.SetLogger(silence{})
	client := redis.NewClient(options)
	if !c.Password.IsZero() {
		client.AddHook(redactor{password: c.Password})
	}
	return client
}

// dialer connects within [dialTimeout], TLS included. The library's own would
// let a handshake outlast the context.
func (c Connection) dialer() func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: dialTimeout}
	if c.TLS == nil {
		return plain.DialContext
	}
	secure := &tls.Dialer{NetDialer: plain, Config: c.TLS}
	return secure.DialContext
}

// silence drops what the library logs.
type silence struct{}

// Printf does nothing.
func (silence) Printf(context.Context, string, ...any) {}
