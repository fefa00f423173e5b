package domain

import "time"

// Definition is what a ledger knows of a scheduled job.
type Definition struct {
	Job string
	// Fingerprint changes with the schedule, the zone or the target: a new
	// one is a new revision.
	Fingerprint string
}

// SyncRequest registers the jobs of a replica and asks for news.
type SyncRequest struct {
	// Replica names this process among all that share the ledger.
	Replica string
	// Definitions are all jobs of this replica, those without schedule too.
	Definitions []Definition
	// Since is the version of the last reply; only jobs that changed since
	// are returned. Zero asks for all.
	Since uint64
}

// Scope says who shares a ledger.
type Scope string

const (
	// ScopeHost is a ledger that one process or host has for itself.
	ScopeHost Scope = "host"
	// ScopeFleet is a ledger that all replicas share.
	ScopeFleet Scope = "fleet"
)

// SyncReply is the state of a replica's jobs.
type SyncReply struct {
	// Now is the store's time, which decides what is due.
	Now     time.Time
	Scope   Scope
	Version uint64
	// Replicas are the names of all that gave a sign of life lately, the
	// asking one included.
	Replicas []string
	Jobs     []JobState
}

// JobState is what the ledger keeps of one scheduled job.
type JobState struct {
	Job string
	// Cursor is the latest decided tick: ticks up to it are never decided
	// again. A job never seen starts at store time.
	Cursor time.Time
	// Revision counts the definitions the job has had.
	Revision uint64
	// Superseded tells that a newer definition is registered by a replica
	// that lives: this replica does not plan the job.
	Superseded bool
	Paused     bool
}

// CursorMove is a compare-and-set of a job's cursor.
type CursorMove struct {
	From, To time.Time
}

// Slot says how a run takes its job's overlap slot.
type Slot uint8

const (
	// SlotLater claims the run alone; the slot is asked for afterwards.
	SlotLater Slot = iota
	// SlotFree starts the run beside any other.
	SlotFree
	// SlotSkip starts the run if no other holds the slot, else ends it.
	SlotSkip
	// SlotQueue starts the run, or lets it wait if none waits yet, or ends it.
	SlotQueue
	// SlotPreempt starts the run, or asks the holder to cancel and waits in
	// the place of whoever waited.
	SlotPreempt
)

// Intent asks for a run.
type Intent struct {
	Run         RunKey
	Replica     string
	Fingerprint string
	// Move is the cursor's step that decides this tick and all before it;
	// nil for runs of other origins and for claims that are held.
	Move *CursorMove
	// MoveOnly makes the step without claiming a run: its ticks are skipped.
	MoveOnly bool
	// Held is the token of a claim that this replica holds and wants to
	// start; zero for a new claim.
	Held  ClaimToken
	Slot  Slot
	Lease time.Duration
}

// Validate returns [ErrInvalid] for an intent that makes no sense: a tick without
// a move, a move that does not lead from before the tick up to it or beyond, a
// lease of zero or less, or an origin that is none.
func (i *Intent) Validate() error {
	switch {
	case !i.Run.Origin.Known():
		return Invalidf("origin %s is unknown", Quote(string(i.Run.Origin)))
	case i.Lease <= 0 && !i.MoveOnly:
		return Invalidf("lease %s is not positive", i.Lease)
	case i.Held != 0 && (i.Move != nil || i.MoveOnly):
		return Invalidf("a held claim moves no cursor")
	case i.Move == nil && i.MoveOnly:
		return Invalidf("there is no move to make")
	case i.Move == nil:
		if i.Held == 0 && i.Run.Origin == OriginSchedule {
			return Invalidf("a tick needs the move that decides it")
		}
		return nil
	}
	from, to := i.Move.From.UnixMilli(), i.Move.To.UnixMilli()
	if from >= to || (!i.MoveOnly && (i.Run.PlannedMS <= from || i.Run.PlannedMS > to)) {
		return Invalidf("move from %s to %s does not pass the tick", i.Move.From, i.Move.To)
	}
	return nil
}

// VerdictKind is a ledger's answer to an intent.
type VerdictKind uint8

const (
	// Granted means that the claim is this replica's.
	Granted VerdictKind = iota + 1
	// Moved answers an intent that only moves the cursor.
	Moved
	// Taken means that the cursor was elsewhere or the run has an owner or
	// is done.
	Taken
	// Blocked means that another run holds the slot; the run is over.
	Blocked
	// Queued means that the claim is held and waits behind another run.
	Queued
	// Paused means that the job is paused; the cursor moved, the run is over.
	Paused
	// Superseded means that a newer definition is valid; nothing moved.
	Superseded
	// Lost means that the held claim is another replica's by now.
	Lost
)

// String returns the verdict in words.
func (k VerdictKind) String() string {
	names := [...]string{"", "granted", "moved", "taken", "blocked", "queued behind", "paused", "superseded", "lost"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Verdict is the answer to one intent.
type Verdict struct {
	Kind VerdictKind
	// Claim is set when granted or queued.
	Claim Claim
	// By is the run that blocks or is waited for, Owner the replica that
	// holds it or took the tick.
	By    RunKey
	Owner string
	// Cursor is the job's stored cursor after the call.
	Cursor time.Time
}

// Renewal is the answer to one renewed claim.
type Renewal uint8

const (
	// RenewalHeld means that the claim lasts for another lease.
	RenewalHeld Renewal = iota + 1
	// RenewalLost means that the claim is not this replica's any more.
	RenewalLost
	// RenewalCancel means that the claim is held and a newer run asks it to
	// give way.
	RenewalCancel
)

// RunEnd says how a claim ends.
type RunEnd uint8

const (
	// EndFired marks the run fired: its job is on the queue.
	EndFired RunEnd = iota + 1
	// EndFinished marks the run finished.
	EndFinished
	// EndReleased gives the claim back: another replica may drive the run at
	// once, and nothing counts as a crash.
	EndReleased
)

// RunResult ends a claim.
type RunResult struct {
	Claim ClaimRef
	End   RunEnd
	// JobID is the job of a fired run.
	JobID JobID
	// Attempts counts the charged attempts of a released run: whoever takes
	// it over goes on from there.
	Attempts int
}

// Dispatch puts the job of a claimed run on its queue.
type Dispatch struct {
	Claim ClaimRef
	Job   NewJob
}

// DispatchStatus says what became of a dispatch.
type DispatchStatus uint8

const (
	// Dispatched means that the job is on its queue, now or already, and the
	// run is marked fired.
	Dispatched DispatchStatus = iota + 1
	// DispatchBlocked means that the job of an earlier run holds the
	// deduplication key; the run is finished.
	DispatchBlocked
	// DispatchLost means that the claim is another replica's by now.
	DispatchLost
)

// DispatchResult is the answer to one dispatch.
type DispatchResult struct {
	Status DispatchStatus
	// ID is the job on the queue, or the one that holds the key.
	ID JobID
	// Err says why a single dispatch was refused; then Status is zero and the
	// claim is still held.
	Err error
}
