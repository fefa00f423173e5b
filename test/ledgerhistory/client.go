package ledgerhistory

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

const (
	fingerprint = "v1"
	lease       = time.Hour
)

func jobs() []string { return []string{"a", "b"} }

// recorder keeps what clients ask and what they know of one another's claims.
type recorder struct {
	start time.Time

	mu      sync.Mutex
	history []porcupine.Operation
	claims  []domain.ClaimRef
	cursors map[string]int64
}

func (r *recorder) now() int64 { return time.Since(r.start).Nanoseconds() }

// record keeps a call that ends now.
func (r *recorder) record(client int, c call, a answer, began int64) {
	ended := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, porcupine.Operation{ClientId: client, Input: c, Output: a, Call: began, Return: ended})
	if a.token != 0 {
		ref := domain.ClaimRef{Run: c.run, Token: a.token}
		if a.taken {
			ref.Run = a.takenRun
		}
		r.claims = append(r.claims, ref)
	}
	r.cursors[c.job] = max(r.cursors[c.job], a.cursor)
}

// client asks one thing after another, at random.
type client struct {
	*testing.T
	*recorder

	number int
	dice   *rand.Rand
	ledger ports.Ledger
}

func (c *client) play(calls int) {
	moves := []func(){
		c.tick, c.tick, c.tick, c.tick, c.skip, c.manual, c.manual, c.start, c.start, c.renew, c.finish, c.finish, c.finish, c.takeOver,
	}
	for range calls {
		moves[c.dice.IntN(len(moves))]()
	}
}

func (c *client) job() string { return jobs()[c.dice.IntN(len(jobs()))] }

// step returns a step of the job's cursor from where it is thought to be.
func (c *client) step(job string) (from, to int64) {
	c.mu.Lock()
	from = c.cursors[job]
	c.mu.Unlock()
	if c.dice.IntN(8) == 0 {
		from -= 1000
	}
	return from, from + 1000*int64(1+c.dice.IntN(2))
}

func (c *client) slot() domain.Slot {
	return []domain.Slot{domain.SlotLater, domain.SlotFree, domain.SlotSkip, domain.SlotSkip}[c.dice.IntN(4)]
}

func (c *client) tick() {
	job := c.job()
	from, to := c.step(job)
	c.claim(call{job: job, run: domain.TickKey(job, time.UnixMilli(to)), from: from, to: to, slot: c.slot()})
}

func (c *client) skip() {
	job := c.job()
	from, to := c.step(job)
	c.claim(call{job: job, run: domain.TickKey(job, time.UnixMilli(to)), from: from, to: to, moveOnly: true})
}

func (c *client) manual() {
	job := c.job()
	run := domain.RunKey{Job: job, Origin: domain.OriginManual, OriginID: fmt.Sprint(c.dice.IntN(12))}
	c.claim(call{job: job, run: run, slot: c.slot()})
}

// some returns a claim that somebody was granted, mostly a recent one.
func (c *client) some() (domain.ClaimRef, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.claims) == 0 {
		return domain.ClaimRef{}, false
	}
	recent := c.claims[max(len(c.claims)-6, 0):]
	return recent[c.dice.IntN(len(recent))], true
}

func (c *client) start() {
	if ref, ok := c.some(); ok {
		c.claim(call{job: ref.Run.Job, run: ref.Run, token: ref.Token, slot: c.slot()})
	}
}

func (c *client) claim(asked call) {
	asked.kind = claim
	intent := domain.Intent{
		Run: asked.run, Replica: fmt.Sprint("r", c.number), Fingerprint: fingerprint,
		MoveOnly: asked.moveOnly, Held: asked.token, Slot: asked.slot, Lease: lease,
	}
	if asked.to != 0 {
		intent.Move = &domain.CursorMove{From: time.UnixMilli(asked.from), To: time.UnixMilli(asked.to)}
	}
	began := c.now()
	verdicts, err := c.ledger.Claim(c.Context(), []domain.Intent{intent})
	if err != nil {
		c.Errorf("Claim(%s) = %v, want no error", asked, err)
		return
	}
	v := verdicts[0]
	c.record(c.number, asked, answer{verdict: v.Kind, token: v.Claim.Token, phase: v.Claim.Phase, cursor: v.Cursor.UnixMilli(), by: v.By}, began)
}

func (c *client) renew() {
	ref, ok := c.some()
	if !ok {
		return
	}
	asked := call{kind: renew, job: ref.Run.Job, run: ref.Run, token: ref.Token}
	began := c.now()
	renewals, err := c.ledger.Renew(c.Context(), []domain.ClaimRef{ref}, lease)
	if err != nil {
		c.Errorf("Renew(%s) = %v, want no error", asked, err)
		return
	}
	c.record(c.number, asked, answer{held: renewals[0] != domain.RenewalLost}, began)
}

func (c *client) finish() {
	ref, ok := c.some()
	if !ok {
		return
	}
	asked := call{kind: finish, job: ref.Run.Job, run: ref.Run, token: ref.Token, end: domain.EndFinished}
	if c.dice.IntN(3) == 0 {
		asked.end = domain.EndReleased
	}
	began := c.now()
	held, err := c.ledger.Finish(c.Context(), []domain.RunResult{{Claim: ref, End: asked.end}})
	if err != nil {
		c.Errorf("Finish(%s) = %v, want no error", asked, err)
		return
	}
	c.record(c.number, asked, answer{held: held[0]}, began)
}

// takeOver takes over at most one run. If there is none, there is none of
// either job.
func (c *client) takeOver() {
	began := c.now()
	claims, err := c.ledger.Abandoned(c.Context(), fmt.Sprint("r", c.number), lease, 1)
	if err != nil {
		c.Errorf("Abandoned = %v, want no error", err)
		return
	}
	for _, taken := range claims {
		asked := call{kind: abandoned, job: taken.Run.Job}
		c.record(c.number, asked, answer{taken: true, takenRun: taken.Run, token: taken.Token, phase: taken.Phase}, began)
	}
	if len(claims) == 0 {
		for _, job := range jobs() {
			c.record(c.number, call{kind: abandoned, job: job}, answer{}, began)
		}
	}
}
