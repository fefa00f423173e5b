package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// The oldest Redis that has all commands of the scripts.
const (
	leastMajor = 6
	leastMinor = 2
)

// noEviction is the policy that lets Redis refuse writes rather than drop jobs.
const noEviction = "noeviction"

// errReplica says that a server copies another and takes no writes.
var errReplica = errors.New("is a replica of another server and takes no writes")

// Await returns when the server answers, has its data and takes writes. It
// waits for that, with the causes in the log, until ctx ends; the error is then
// [ports.ErrUnavailable] with the latest cause. So is that of a server older
// than Redis 6.2, at once. A server that may drop jobs, or that may not be asked, is
// warned of.
func (b *Backend) Await(ctx context.Context) error {
	wait := repeatFirst
	for {
		place := b.failures.sending()
		server, err := b.ask(ctx)
		b.failures.done(place)
		switch {
		case err == nil:
			b.failures.answered(ctx, opConnect)
			return b.judge(ctx, server)
		case b.isClosed():
			return fmt.Errorf("connect: %w", ports.ErrClosed)
		case ctx.Err() != nil:
			return b.unreached(err)
		case !errors.Is(err, errReplica) && !passes(err):
			return translate("connect", err)
		}
		if errors.Is(err, errReplica) && b.follower != nil {
			// Its answers are no errors that the follower would see.
			b.follower.suspect("")
		}
		b.failures.failed(ctx, opConnect, err)
		pause(ctx, wait)
		wait = min(2*wait, repeatMost)
	}
}

// unreached words the end of the wait by what went wrong before it.
func (b *Backend) unreached(err error) error {
	if _, latest := b.failures.state(); latest != nil {
		err = latest
	}
	return fmt.Errorf("connect to %s: %w: %s", b.config.Connection, ports.ErrUnavailable, domain.CleanText(err.Error(), domain.MaxReason))
}

// server is what a server says of itself. Without the right to ask, all of it
// is empty.
type server struct {
	version, policy string
	// clustered tells that it is a node of a cluster.
	clustered bool
	// guarded tells that it takes no writes without a replica.
	guarded bool
}

// ask returns an error of a server that does not do its work yet.
func (b *Backend) ask(ctx context.Context) (server, error) {
	text, err := b.client.Info(ctx).Result()
	if refused(err) {
		b.config.Log.WarnContext(ctx, "redis may not be asked for its version and settings", "err", err)
		return server{}, b.client.Ping(ctx).Err()
	}
	if err != nil {
		return server{}, err
	}
	fields := infoFields(text)
	switch {
	case fields["loading"] == "1":
		return server{}, errors.New("LOADING the server reads its data")
	case fields["role"] == "slave":
		return server{}, errReplica
	}
	return server{
		version: fields["redis_version"], policy: fields["maxmemory_policy"],
		clustered: fields["cluster_enabled"] == "1", guarded: fields["min_slaves_good_slaves"] != "",
	}, nil
}

// refused reports whether the user lacks the right to a command.
func refused(err error) bool {
	reply, ok := errors.AsType[redis.Error](err)
	return ok && strings.HasPrefix(reply.Error(), "NOPERM")
}

func (b *Backend) judge(ctx context.Context, s server) error {
	if isOld(s.version) {
		return fmt.Errorf("connect to %s: %w: it is Redis %s, and at least %d.%d is needed",
			b.config.Connection, ports.ErrUnavailable, domain.CleanText(s.version, domain.MaxReason), leastMajor, leastMinor)
	}
	if err := b.judgeCluster(ctx, s); err != nil {
		return fmt.Errorf("connect to %s: %w", b.config.Connection, err)
	}
	if s.version != "" && b.follower != nil && !s.guarded {
		b.config.Log.WarnContext(ctx, "a failover of redis may lose jobs", "min_replicas_to_write", 0, "want", 1)
	}
	if s.policy != "" && s.policy != noEviction {
		b.config.Log.WarnContext(ctx, "redis may drop jobs when its memory is full", "maxmemory_policy", s.policy, "want", noEviction)
	}
	return nil
}

// judgeCluster returns an error if the server is a node of a cluster and was
// taken for a server of its own. Nothing has been written yet.
func (b *Backend) judgeCluster(ctx context.Context, s server) error {
	if !s.clustered || len(b.config.Connection.Nodes) > 0 {
		return nil
	}
	if !isBraced(b.config.Prefix) {
		return domain.Invalidf("%s", unbraced(b.config.Prefix))
	}
	if err := b.client.Exists(ctx, b.keys.void()).Err(); isMoved(err) {
		return domain.Invalidf("it is %s", elsewhere)
	}
	return nil
}

// isOld judges versions that it can read.
func isOld(version string) bool {
	majorText, rest, _ := strings.Cut(version, ".")
	minorText, _, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(majorText)
	if err != nil {
		return false
	}
	minor, err := strconv.Atoi(minorText)
	return major < leastMajor || (err == nil && major == leastMajor && minor < leastMinor)
}
