package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// ErrNoAccess says that a server does not know the user with this password.
var ErrNoAccess = errors.New("the server does not let this user in")

// Survey is what a server tells of itself to whoever looks for what is wrong.
type Survey struct {
	// RoundTrip is how long a PING took.
	RoundTrip time.Duration
	// ClockAhead is by how much the server's clock is ahead of this host's,
	// known to within RoundTrip; nil if it was not told.
	ClockAhead *time.Duration
	// Version is empty if it was not told, and TooOld tells that it lacks
	// commands that are needed.
	Version string
	TooOld  bool
	// Replica tells that it copies another server, Loading that it still reads
	// its data.
	Replica, Loading bool
	// Policy is the maxmemory-policy. UsedMemory and MaxMemory are bytes; no
	// MaxMemory is no bound.
	Policy                string
	UsedMemory, MaxMemory int64
	// AppendOnly tells of an append-only file. Snapshots are the rules by which
	// the data is saved, empty for none; nil if they were not told.
	AppendOnly bool
	Snapshots  *string
	// DiskFailing tells that the latest snapshot or write to the append-only
	// file failed.
	DiskFailing bool
	// Exposed tells that a failover may lose jobs: another server takes over when
	// this one is gone, and it takes writes that no replica has.
	Exposed bool
	// Rights are those that the user lacks.
	Rights Rights
	// Unseen are the commands that would have told more, and are refused.
	Unseen []string
}

// LeastVersion is the oldest Redis that has all that is needed.
func LeastVersion() string { return fmt.Sprintf("%d.%d", leastMajor, leastMinor) }

// NoEviction is the maxmemory-policy that drops no jobs.
const NoEviction = noEviction

// Survey asks the server once, waits for no server that is away and changes
// nothing. The error is [ports.ErrUnavailable] for one that does not answer or
// refuses to, with [ErrNoAccess] if it is the user it refuses, and [domain.ErrInvalid] for one that the configuration does not
// fit. What the user may not ask is left out of the answer.
func (b *Backend) Survey(ctx context.Context) (Survey, error) {
	var s Survey
	// The first call also connects.
	if err := b.client.Ping(ctx).Err(); err != nil && !refused(err) {
		return s, surveyed(err)
	}
	begun := b.config.Now()
	err := b.client.Ping(ctx).Err()
	s.RoundTrip = b.config.Now().Sub(begun)
	if refused(err) {
		s.Unseen = append(s.Unseen, "PING")
	} else if err != nil {
		return s, surveyed(err)
	}
	for _, part := range []func(context.Context, *Survey) error{b.surveyInfo, b.surveyClock, b.surveyRights, b.surveySnapshots} {
		if err := part(ctx, &s); err != nil {
			return s, surveyed(err)
		}
	}
	return s, nil
}

// surveyed words an error. A server that refuses everything is as good as away.
func surveyed(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("survey: %w: no answer in time", ports.ErrUnavailable)
	}
	if reply, ok := errors.AsType[redis.Error](err); ok && isNoAccess(reply) {
		err = fmt.Errorf("%w: %w", ErrNoAccess, err)
		return fmt.Errorf("survey: %w: %w", ports.ErrUnavailable, err)
	}
	if errors.Is(err, domain.ErrInvalid) {
		return fmt.Errorf("survey: %w", err)
	}
	return translate("survey", err)
}

func isNoAccess(reply redis.Error) bool {
	code, _, _ := strings.Cut(complaintOf(reply), " ")
	return code == "WRONGPASS" || code == "NOAUTH"
}

func (b *Backend) surveyInfo(ctx context.Context, s *Survey) error {
	text, err := b.client.Info(ctx).Result()
	if refused(err) {
		s.Unseen = append(s.Unseen, "INFO")
		return nil
	}
	if err != nil {
		return err
	}
	fields := infoFields(text)
	s.Version, s.TooOld = fields["redis_version"], isOld(fields["redis_version"])
	s.Replica, s.Loading = fields["role"] == "slave", fields["loading"] == "1"
	s.Policy = fields["maxmemory_policy"]
	s.UsedMemory, _ = strconv.ParseInt(fields["used_memory"], 10, 64)
	s.MaxMemory, _ = strconv.ParseInt(fields["maxmemory"], 10, 64)
	s.AppendOnly = fields["aof_enabled"] == "1"
	s.Exposed = b.follower != nil && fields["min_slaves_good_slaves"] == ""
	s.DiskFailing = fields["rdb_last_bgsave_status"] == "err" || (s.AppendOnly && fields["aof_last_write_status"] == "err")
	return b.judgeCluster(ctx, server{version: s.Version, policy: s.Policy, clustered: fields["cluster_enabled"] == "1"})
}

// infoFields reads a reply of INFO.
func infoFields(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			fields[name] = value
		}
	}
	return fields
}

func (b *Backend) surveyClock(ctx context.Context, s *Survey) error {
	sent := b.config.Now()
	told, err := b.client.Time(ctx).Result()
	got := b.config.Now()
	if refused(err) {
		s.Unseen = append(s.Unseen, "TIME")
		return nil
	}
	if err != nil {
		return err
	}
	ahead := told.Sub(sent.Add(got.Sub(sent) / 2).Round(0))
	s.ClockAhead = &ahead
	return nil
}

// surveySnapshots asks for a setting that INFO does not tell. It is asked last,
// and not where that is known to be refused: the server keeps a log of refusals.
func (b *Backend) surveySnapshots(ctx context.Context, s *Survey) error {
	if s.AppendOnly || s.Rights.settings {
		if s.Rights.settings {
			s.Unseen = append(s.Unseen, "CONFIG GET")
		}
		return nil
	}
	settings, err := b.client.ConfigGet(ctx, "save").Result()
	if _, is := errors.AsType[redis.Error](err); is {
		// Servers for hire have no CONFIG at all.
		s.Unseen = append(s.Unseen, "CONFIG GET")
		return nil
	}
	if rules, told := settings["save"]; err == nil && told {
		s.Snapshots = &rules
	}
	return err
}
