package doctor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// Checks of Redis.
const (
	// CheckRedis is whether Redis answers and takes writes.
	CheckRedis       = "redis"
	checkMemory      = "redis memory"
	checkPersistence = "redis persistence"
	checkRights      = "redis rights"
	checkFailover    = "redis failover"
	checkRedisClock  = "redis clock"
)

// Redis is what was found out about Redis.
type Redis struct {
	// Where is the address without user and password; Address and Account name
	// the variables that it and the user come from.
	Where, Address, Account string
	// User is the user's name; empty is the default user.
	User string
	// Err is why there is no survey.
	Err    error
	Survey redisqueue.Survey
}

// Findings judges the server.
func (r *Redis) Findings() []Finding {
	if r.Err != nil {
		return []Finding{r.unreached()}
	}
	found := []Finding{r.server()}
	for _, judge := range []func() (Finding, bool){r.memory, r.persistence, r.failover, r.rights, r.clock} {
		if finding, told := judge(); told {
			found = append(found, finding)
		}
	}
	return found
}

func (r *Redis) unreached() Finding {
	found := r.Where + ": " + words(r.Err)
	switch {
	case errors.Is(r.Err, domain.ErrInvalid):
		return mistake(CheckRedis, found, "correct "+r.Address+" or WORKER_QUEUE_PREFIX")
	case errors.Is(r.Err, redisqueue.ErrNoAccess):
		return failure(CheckRedis, found, "correct user and password in "+r.Account+`, or on the server, where "ACL LIST" shows the users`)
	}
	return failure(CheckRedis, found, "start the server, or correct "+r.Address+"; firewalls and TLS settings keep connections out, too")
}

func (r *Redis) server() Finding {
	s := &r.Survey
	switch {
	case s.Loading:
		return failure(CheckRedis, r.Where+" still reads its data", `wait: "redis-cli INFO persistence" tells how far it is`)
	case s.Replica:
		return failure(CheckRedis, r.Where+" is a replica and takes no writes",
			"set "+r.Address+" to the primary, or REDIS_SENTINELS and REDIS_SENTINEL_NAME so that it is found")
	case s.TooOld:
		return failure(CheckRedis, fmt.Sprintf("%s is Redis %s, and at least %s is needed", r.Where, s.Version, redisqueue.LeastVersion()),
			"upgrade the server")
	case s.Version == "":
		return Finding{CheckRedis, Skipped, fmt.Sprintf("%s answers in %s; its version and settings are not seen: the user may not send INFO",
			r.Where, rounded(s.RoundTrip)), "", false}
	}
	return fine(CheckRedis, "%s answers in %s: Redis %s, takes writes", r.Where, rounded(s.RoundTrip), s.Version)
}

// nearlyFull is the share of its memory from which on a server is near its end.
const nearlyFull = 0.9

func (r *Redis) memory() (Finding, bool) {
	s := &r.Survey
	used := fmt.Sprintf("%s used of %s", size(uint64(max(s.UsedMemory, 0))), size(uint64(max(s.MaxMemory, 0))))
	if s.MaxMemory == 0 {
		used = size(uint64(max(s.UsedMemory, 0))) + " used, no maxmemory"
	}
	share := 0.0
	if s.MaxMemory > 0 {
		share = float64(s.UsedMemory) / float64(s.MaxMemory)
	}
	switch {
	case s.Policy == "":
		return Finding{}, false
	case s.Policy != redisqueue.NoEviction:
		return warning(checkMemory, fmt.Sprintf("maxmemory-policy is %s: jobs and locks vanish when the memory is full (%s)", s.Policy, used),
			`"redis-cli CONFIG SET maxmemory-policy noeviction", and the same in redis.conf`), true
	case share >= 1:
		return failure(checkMemory, used+": new jobs are refused", `raise maxmemory, or make room: "worker queues clean QUEUE --state completed"`), true
	case share >= nearlyFull:
		return warning(checkMemory, used+": when it is full, new jobs are refused",
			`raise maxmemory, or make room: "worker queues clean QUEUE --state completed"`), true
	}
	return fine(checkMemory, "%s, %s", used, s.Policy), true
}

func (r *Redis) persistence() (Finding, bool) {
	const toDisk = `"redis-cli CONFIG SET appendonly yes", and the same in redis.conf`
	s := &r.Survey
	switch {
	case s.DiskFailing:
		return failure(checkPersistence, "the latest write to disk failed: it may refuse all writes until one succeeds",
			"free or add disk space and look at the log of the server"), true
	case s.AppendOnly:
		return fine(checkPersistence, "append-only file"), true
	case s.Version == "":
		return Finding{}, false
	case s.Snapshots == nil:
		return NotMade(checkPersistence, "no append-only file; whether snapshots are saved is not seen: the user may not send CONFIG GET"), true
	case *s.Snapshots == "":
		return warning(checkPersistence, "nothing is kept on disk: jobs are lost with the process of the server", toDisk), true
	}
	return fine(checkPersistence, "snapshots (save %s): a crash loses what came after the latest; appendonly yes would not", *s.Snapshots), true
}

func (r *Redis) failover() (Finding, bool) {
	if !r.Survey.Exposed {
		return Finding{}, false
	}
	return warning(checkFailover, "the primary takes writes that no replica has: a failover may lose jobs",
		`"redis-cli CONFIG SET min-replicas-to-write 1" on all servers, and the same in redis.conf`), true
}

func (r *Redis) rights() (Finding, bool) {
	rights := &r.Survey.Rights
	switch {
	case !rights.Complete():
		return failure(checkRights, "the user lacks "+few(append(described("keys", rights.Keys), described("command", rights.Commands)...)),
			fmt.Sprintf(`"redis-cli ACL SETUSER %s %s", or take deploy/redis-acl.conf into redis.conf`, r.userName(), grants(rights))), true
	case !rights.Known:
		return NotMade(checkRights, "a server older than Redis 7 cannot tell; deploy/redis-acl.conf names what a worker needs"), true
	}
	return fine(checkRights, "the user %s may do all that a worker does", r.userName()), true
}

func (r *Redis) userName() string {
	if r.User == "" {
		return "default"
	}
	return r.User
}

func described(noun string, names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = noun + " " + name
	}
	return all
}

// grants are the words of ACL SETUSER that give what is lacking.
func grants(rights *redisqueue.Rights) string {
	var all []string
	for _, key := range rights.Keys {
		all = append(all, "~"+key)
	}
	for _, command := range rights.Commands {
		all = append(all, "+"+command)
	}
	return strings.Join(all, " ")
}

func (r *Redis) clock() (Finding, bool) {
	if r.Survey.ClockAhead == nil {
		return Finding{}, false
	}
	return clock(checkRedisClock, "Redis", *r.Survey.ClockAhead, r.Survey.RoundTrip), true
}

// clockTolerance is by how much clocks may differ. Ticks follow the clock of the
// store, logs and the other programs that of their host.
const clockTolerance = 2 * time.Second

func clock(check, whose string, ahead, roundTrip time.Duration) Finding {
	side := "ahead of"
	if ahead < 0 {
		side = "behind"
	}
	differs := fmt.Sprintf("the clock of %s is %s %s that of this host", whose, rounded(ahead.Abs()), side)
	if ahead.Abs()-roundTrip > clockTolerance {
		return warning(check, differs+": ticks follow the former", `let NTP set both clocks: "timedatectl status" on each host`)
	}
	return fine(check, "%s", differs)
}

// rounded shows a duration with three digits or so.
func rounded(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 10)
		}
	}
	return d
}

// size shows bytes with the unit that fits.
func size(bytes uint64) string {
	const step = 1024
	units, value := []string{"B", "KiB", "MiB", "GiB", "TiB"}, float64(bytes)
	for value >= step && len(units) > 1 {
		value, units = value/step, units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}
