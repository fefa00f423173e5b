package storage

import (
	"sync"

	"github.com/taktwork/takt/core/domain"
)

// maxKnown is how many jobs a ledger knows without reading them.
const maxKnown = 1 << 16

// knownJobs are the jobs as this ledger left them when it wrote them last. A
// decision may rest on them as on jobs that were read just now: like these they
// are written only if they still have their stamp. The zero value knows none.
type knownJobs struct {
	mu   sync.Mutex
	jobs map[string]knownJob
}

// knownJob is what a tick's decision rests on.
type knownJob struct {
	cursorMS    int64
	stamp       int64
	fingerprint string
	paused      bool
	// open is the job's claim that has not ended as far as is known, zero if
	// there is none. crowded tells that there may be more.
	open    domain.ClaimToken
	crowded bool
}

// decides reports whether what is known of the job is all that the answer to the
// intent rests on, and the answer is one that is written: nothing but the stamp
// tells whether what is known still holds. No claim can have a tick that the
// cursor has not reached.
func (k *knownJob) decides(intent *domain.Intent) bool {
	if intent.Run.Origin != domain.OriginSchedule || intent.Move == nil {
		return false
	}
	if intent.Fingerprint != k.fingerprint || intent.Move.From.UnixMilli() != k.cursorMS {
		return false
	}
	switch {
	case intent.MoveOnly, k.paused, intent.Slot == domain.SlotFree, intent.Slot == domain.SlotLater:
		return true
	}
	return k.open == 0 && !k.crowded
}

// recall puts the jobs into the state that are known well enough for their
// intents, and returns the intents that are left: what is read for these comes in
// the place of what was known. Of several intents about a job one is always left.
func (k *knownJobs) recall(state *ledgerState, intents []domain.Intent, pending []int) (left []int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.jobs) == 0 {
		return pending
	}
	for _, i := range pending {
		name := intents[i].Run.Job
		known, ok := k.jobs[name]
		if _, twice := state.jobs[name]; !ok || twice || !known.decides(&intents[i]) {
			left = append(left, i)
			continue
		}
		state.jobs[name] = &ledgerJob{
			name: name, cursorMS: known.cursorMS, paused: known.paused, fingerprint: known.fingerprint, stamp: known.stamp,
			open: known.open, crowded: known.crowded,
		}
	}
	return left
}

// keep takes over the jobs that the state's changes were written to.
func (k *knownJobs) keep(state *ledgerState, written *writtenState) {
	for _, c := range state.opened {
		if job := state.jobs[c.run.Job]; !c.ended() {
			job.noteOpen(tokenOf(written.before + int64(c.tokenAt)))
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.jobs == nil {
		k.jobs = make(map[string]knownJob, len(state.dirty))
	}
	for _, job := range state.dirty {
		if !written.wrote(job) {
			delete(k.jobs, job.name)
			continue
		}
		k.makeRoom(job.name)
		k.jobs[job.name] = knownJob{
			cursorMS: job.cursorMS, stamp: written.stamp, fingerprint: job.fingerprint, paused: job.paused,
			open: job.open, crowded: job.crowded,
		}
	}
}

// makeRoom forgets any job if the named one would be too many.
func (k *knownJobs) makeRoom(name string) {
	if _, known := k.jobs[name]; known || len(k.jobs) < maxKnown {
		return
	}
	for other := range k.jobs {
		delete(k.jobs, other)
		return
	}
}

// ended takes note that the claims have ended. That changes no stamp, and a
// claim that has ended never comes back.
func (k *knownJobs) ended(results []domain.RunResult, held map[domain.ClaimToken]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range results {
		ref := &results[i].Claim
		if results[i].End == domain.EndReleased || !held[ref.Token] {
			continue
		}
		if known, ok := k.jobs[ref.Run.Job]; ok && known.open == ref.Token {
			known.open = 0
			k.jobs[ref.Run.Job] = known
		}
	}
}
