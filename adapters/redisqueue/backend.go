package redisqueue

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"log/slog"
	"maps"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var _ ports.Enqueuer = (*Backend)(nil)

// Profile says which BullMQ the Node programs of the fleet run: versions 5
// and 6 keep the jobs of a paused queue in different lists, and the wrong
// guess can lose jobs (protocol 6.2).
type Profile string

const (
	// ProfileAuto goes by the version that a queue's last Node client left.
	ProfileAuto Profile = ""
	// ProfileV5 is BullMQ 5.70 to 5.81.
	ProfileV5 Profile = "v5"
	// ProfileV6 is BullMQ 6.
	ProfileV6 Profile = "v6"
)

// Config describes a backend. Fields left zero take the defaults that their
// docs name.
type Config struct {
	Connection Connection
	// Prefix is BullMQ's prefix of keys; default "bull". In braces, "{bull}",
	// it keeps all queues in one slot of a cluster.
	Prefix string
	// Namespace is part of all keys that are not BullMQ's; default "default".
	Namespace string
	Profile   Profile
	// MaxPayload bounds a job's data in bytes; default 256 KiB. Jobs of other
	// producers with more are handed out as refused.
	MaxPayload int
	// MaxCrashes is how many crashes of its workers a job survives; default
	// [domain.MaxCrashes], and a negative number means none.
	MaxCrashes int
	// StalledInterval is the least time between two scans for jobs whose
	// leases ran out, over all workers; default 13 s.
	StalledInterval time.Duration
	// Limits are rate limits of this worker by queue, counted over all workers
	// that have one. [Backend.SetLimit] changes them.
	Limits map[domain.QueueName]RateLimit
	// MetricsMinutes is how many minutes of BullMQ's metrics are kept; zero
	// keeps none.
	MetricsMinutes int
	// KeepCompleted and KeepFailed apply to jobs that say nothing themselves.
	KeepCompleted, KeepFailed domain.Retention
	// Now is the clock by which failures are reported; default [time.Now].
	Now func() time.Time
	Log *slog.Logger
}

const (
	defaultPrefix          = "bull"
	defaultMaxPayload      = 256 << 10
	defaultStalledInterval = 13 * time.Second
)

var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9._-]+$|^\{[A-Za-z0-9._-]+\}$`)

func (c Config) withDefaults() (Config, error) {
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if !prefixPattern.MatchString(c.Prefix) {
		return c, domain.Invalidf("queue prefix %s: letters, digits, dots, underscores and dashes are allowed, all of it in braces or none", domain.Quote(c.Prefix))
	}
	if c.Namespace == "" {
		c.Namespace = domain.DefaultNamespace
	}
	if c.MaxPayload == 0 {
		c.MaxPayload = defaultMaxPayload
	}
	if c.MaxCrashes == 0 {
		c.MaxCrashes = domain.MaxCrashes
	}
	if c.StalledInterval == 0 {
		c.StalledInterval = defaultStalledInterval
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Backend holds queues in one Redis database. It is safe for concurrent use.
type Backend struct {
	config Config
	keys   keys
	client redis.UniversalClient
	// follower leads the client's connections, nil to one server.
	follower *follower
	failures *failures
	sessions *sessions
	readers  eventConns
	hubs     eventHubs
	// keepCompleted and keepFailed are the retentions of jobs that name none,
	// as scripts take them.
	keepCompleted, keepFailed string

	mu        sync.Mutex
	closed    bool
	consumers []*consumer
	// limits begin with [Config.Limits].
	limits map[domain.QueueName]RateLimit
}

// New returns a backend. It connects when it is first used; a server that
// does not answer is waited for by each call until its context ends. The
// error is [domain.ErrInvalid].
func New(config Config) (*Backend, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := config.Connection.Validate(); err != nil {
		return nil, err
	}
	if len(config.Connection.Nodes) > 0 && !isBraced(config.Prefix) {
		return nil, domain.Invalidf("%s", unbraced(config.Prefix))
	}
	if err := validateLimits(config.Limits); err != nil {
		return nil, err
	}
	b := &Backend{
		config: config, keys: newKeys(config.Prefix, config.Namespace),
		failures:      newFailures(config.Log, config.Now),
		limits:        maps.Clone(config.Limits),
		keepCompleted: scriptRetention(config.KeepCompleted), keepFailed: scriptRetention(config.KeepFailed),
	}
	if b.limits == nil {
		b.limits = map[domain.QueueName]RateLimit{}
	}
	b.client, b.follower = config.Connection.newClient(config.Prefix)
	b.sessions = &sessions{backend: b, id: newID()}
	if b.follower != nil {
		b.follower.anew = b.verifyAll
	}
	return b, nil
}

// newID returns a name that no other process has.
func newID() string {
	var random [10]byte
	_, _ = rand.Read(random[:]) // it never fails
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random[:]))
}

// Health returns since when the server has not answered, and the latest
// reason; the zero time when it answers.
func (b *Backend) Health() (since time.Time, reason error) { return b.failures.state() }

// Ping asks the server for a sign of life, once.
func (b *Backend) Ping(ctx context.Context) error {
	if err := b.client.Ping(ctx).Err(); err != nil {
		return translate("ping", err)
	}
	return nil
}

// Close ends all consumers, loops over events and connections. Calls under way
// fail with [ports.ErrClosed]. Closing twice does no harm.
func (b *Backend) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	consumers := b.consumers
	b.mu.Unlock()
	b.readers.close()
	b.hubs.stop()
	errs := make([]error, len(consumers), len(consumers)+1)
	var closing sync.WaitGroup
	for i, c := range consumers {
		// Each may wait for a server that is away; together they wait once.
		closing.Go(func() { errs[i] = c.close() })
	}
	closing.Wait()
	b.sessions.forget()
	errs = append(errs, b.client.Close())
	b.hubs.wait()
	return errors.Join(errs...)
}

func (b *Backend) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}
