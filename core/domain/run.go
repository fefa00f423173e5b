package domain

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Origin says what made a run.
type Origin string

const (
	// OriginSchedule is a tick of the schedule.
	OriginSchedule Origin = "schedule"
	// OriginManual is a trigger by hand; its id is that of the request.
	OriginManual Origin = "manual"
	// OriginBackfill is a past tick run later; its id is that of the backfill.
	OriginBackfill Origin = "backfill"
	// OriginStart is a run on start; its id is that of the instance or deploy.
	OriginStart Origin = "start"
)

// RunKey identifies a run within its namespace. At most one trigger takes
// effect for each key. Keys are comparable.
type RunKey struct {
	Job    string
	Origin Origin
	// OriginID tells apart the runs of one origin; empty for ticks.
	OriginID string
	// PlannedMS is the planned instant in milliseconds since the Unix epoch:
	// for manual runs the moment of the request, for runs on start zero.
	PlannedMS int64
}

// TickKey returns the key of the job's tick at planned.
func TickKey(job string, planned time.Time) RunKey {
	return RunKey{Job: job, Origin: OriginSchedule, PlannedMS: planned.UnixMilli()}
}

// Planned returns the planned instant in UTC.
func (k RunKey) Planned() time.Time { return time.UnixMilli(k.PlannedMS).UTC() }

// String returns the key as text, unique within the namespace, such as
// "report@2026-01-01T03:00:00Z" or "report@manual:7f3a".
func (k RunKey) String() string {
	switch k.Origin {
	case OriginSchedule:
		return k.Job + "@" + k.Planned().Format(time.RFC3339Nano)
	case OriginBackfill:
		return k.Job + "@backfill:" + k.OriginID + "@" + k.Planned().Format(time.RFC3339Nano)
	case OriginManual, OriginStart:
	}
	text := k.Job + "@" + string(k.Origin) + ":" + k.OriginID
	if k.PlannedMS != 0 {
		text += "@" + k.Planned().Format(time.RFC3339Nano)
	}
	return text
}

// DefaultNamespace is the namespace whose name is left out of job ids.
const DefaultNamespace = "default"

// ParseRunKey returns the key that [RunKey.String] wrote. Any other text is
// [ErrInvalid].
func ParseRunKey(text string) (RunKey, error) {
	bad := Invalidf("%s is no run", Quote(text))
	job, rest, found := strings.Cut(text, "@")
	if !found || ValidateScheduledJobName(job) != nil {
		return RunKey{}, bad
	}
	key := RunKey{Job: job, Origin: OriginSchedule}
	if origin, id, named := strings.Cut(rest, ":"); named && Origin(origin) != OriginSchedule && Origin(origin).Known() {
		key.Origin, key.OriginID = Origin(origin), id
		at := strings.LastIndexByte(id, '@')
		if at < 0 {
			return key, nil
		}
		rest, key.OriginID = id[at+1:], id[:at]
	}
	planned, err := time.Parse(time.RFC3339Nano, rest)
	if err != nil {
		return RunKey{}, bad
	}
	key.PlannedMS = planned.UnixMilli()
	return key, nil
}

// JobID returns the id of the queue job that the run makes:
// tick.<job>.<planned ms>, in other namespaces than the default
// tick.<ns>@<job>.<planned ms>; runs of other origins name theirs, and their
// id comes last: manual.<job>.<planned ms>@<id>.
func (k RunKey) JobID(namespace string) JobID {
	name := k.Job + "." + strconv.FormatInt(k.PlannedMS, 10)
	if namespace != DefaultNamespace {
		name = namespace + "@" + name
	}
	if k.Origin == OriginSchedule {
		return JobID("tick." + name)
	}
	return JobID(string(k.Origin) + "." + name + "@" + k.OriginID)
}

// Origins returns all origins.
func Origins() []Origin {
	return []Origin{OriginSchedule, OriginManual, OriginBackfill, OriginStart}
}

// Known reports whether the origin is one of those above.
func (o Origin) Known() bool { return slices.Contains(Origins(), o) }

// Encode returns the key as ledgers store it: its origin, its planned instant in
// ms, its job and, if it has one, its id. No two keys of known origins are
// encoded alike, for neither origins hold a colon nor names of jobs an @.
func (k RunKey) Encode() string {
	text := string(k.Origin) + ":" + strconv.FormatInt(k.PlannedMS, 10) + ":" + k.Job
	if k.OriginID != "" {
		text += "@" + k.OriginID
	}
	return text
}

// DecodeRunKey returns the key that [RunKey.Encode] wrote. Any other text is
// [ErrInvalid].
func DecodeRunKey(text string) (RunKey, error) {
	origin, rest, _ := strings.Cut(text, ":")
	planned, rest, found := strings.Cut(rest, ":")
	ms, err := strconv.ParseInt(planned, 10, 64)
	if !found || err != nil || !Origin(origin).Known() {
		return RunKey{}, Invalidf("%s is no run", Quote(text))
	}
	job, id, _ := strings.Cut(rest, "@")
	return RunKey{Job: job, Origin: Origin(origin), OriginID: id, PlannedMS: ms}, nil
}

// Phase is how far a claimed run has come.
type Phase uint8

const (
	// PhaseClaimed runs are owned and wait: for their jitter to pass or for
	// the overlap slot. Nothing has happened yet.
	PhaseClaimed Phase = iota + 1
	// PhaseStarted runs hold the overlap slot; their handler may have begun.
	PhaseStarted
	// PhaseFired runs are done here: their job is on its queue.
	PhaseFired
	// PhaseFinished runs are done.
	PhaseFinished
)

// ClaimToken fences a run: each claim of it has a larger one.
type ClaimToken uint64

// ClaimRef names a claim in calls about it.
type ClaimRef struct {
	Run   RunKey
	Token ClaimToken
}

// Claim is the exclusive right to act on a run until its lease ends.
type Claim struct {
	Run   RunKey
	Token ClaimToken
	Phase Phase
	// Lease is how long the claim lasts from the moment it was granted or
	// renewed.
	Lease time.Duration
	// GrantedAt is when the run was first claimed, in the store's time.
	GrantedAt time.Time
	// Crashes counts the claims of this run that were lost after their
	// handler had started.
	Crashes int
	// Attempts counts the attempts that were charged before the run was
	// released.
	Attempts int
	// Fingerprint is that of the definition the run was claimed under.
	Fingerprint string
}

// Ref returns the claim's name.
func (c *Claim) Ref() ClaimRef { return ClaimRef{Run: c.Run, Token: c.Token} }
