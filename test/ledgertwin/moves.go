package ledgertwin

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// key returns the run as the side names it.
func (s *twin) key(run twinRun) domain.RunKey {
	return domain.RunKey{Job: run.job, Origin: run.origin, OriginID: run.id, PlannedMS: s.base[run.job].Add(run.at).UnixMilli()}
}

func (s *twin) run(key domain.RunKey) twinRun {
	if key == (domain.RunKey{}) {
		return twinRun{}
	}
	return twinRun{key.Job, key.Origin, key.OriginID, key.Planned().Sub(s.base[key.Job].Truncate(time.Millisecond))}
}

type twinVerdict struct {
	kind     domain.VerdictKind
	run, by  twinRun
	owner    string
	cursor   time.Duration
	phase    domain.Phase
	crashes  int
	attempts int
	print    string
	lease    time.Duration
}

// owner returns whom the verdict names, as far as both sides know it.
func (w *twins) owner(run domain.RunKey, v *domain.Verdict) string {
	if w.subject.ForgetsOwners && (v.Kind == domain.Taken || v.Kind == domain.Lost) && run.Origin == domain.OriginSchedule {
		return ""
	}
	return v.Owner
}

// ask answers intents on both sides and takes note of what they grant.
func (w *twins) ask(intentsOf func(i int, side *twin) []domain.Intent) {
	var tokens [2][]domain.ClaimToken
	verdicts := both(w, "Claim", func(i int, side *twin) []twinVerdict {
		intents := intentsOf(i, side)
		got, err := side.Claim(w.Context(), intents)
		if err != nil {
			w.Fatalf("Claim = %v, want no error", err)
		}
		answers := make([]twinVerdict, len(got))
		for n, v := range got {
			run := intents[n].Run
			answers[n] = twinVerdict{
				v.Kind, side.run(v.Claim.Run), side.run(v.By), w.owner(run, &v), v.Cursor.Sub(side.base[run.Job]),
				v.Claim.Phase, v.Claim.Crashes, v.Claim.Attempts, v.Claim.Fingerprint, v.Claim.Lease,
			}
			side.cursors[run.Job] = answers[n].cursor
			tokens[i] = append(tokens[i], v.Claim.Token)
		}
		return answers
	})
	replicas := intentsOf(0, &w.sides[0])
	for n, v := range verdicts {
		if v.phase != 0 && n < len(tokens[1]) && replicas[n].Held == 0 {
			w.claims = append(w.claims, twinClaim{v.run, replicas[n].Replica, v.print, [2]domain.ClaimToken{tokens[0][n], tokens[1][n]}})
		}
	}
}

func (w *twins) slot() domain.Slot {
	slots := [...]domain.Slot{domain.SlotLater, domain.SlotFree, domain.SlotSkip, domain.SlotQueue, domain.SlotPreempt}
	return slots[w.dice.IntN(len(slots))]
}

// registered returns the jobs that a live replica registers. Of the others
// the ledgers may keep different definitions valid, which nobody asks for.
func (w *twins) registered() []string {
	var jobs []string
	for _, job := range twinJobs() {
		for replica := range w.alive {
			if slices.ContainsFunc(w.replicas[replica], func(d domain.Definition) bool { return d.Job == job }) {
				jobs = append(jobs, job)
				break
			}
		}
	}
	return jobs
}

// plan is an intent whose instants count from its side's base.
type plan struct {
	run      twinRun
	from     time.Duration
	replica  string
	print    string
	slot     domain.Slot
	moveOnly bool
}

// plan makes up an intent for one of the jobs, often for that of the one before.
func (w *twins) plan(jobs []string, before *plan) plan {
	w.runs++
	job := w.pick(jobs...)
	p := plan{replica: w.replica(), print: fmt.Sprint("v", 1+w.dice.IntN(4)), slot: w.slot(), moveOnly: w.dice.IntN(8) == 0}
	for _, d := range w.replicas[p.replica] {
		if d.Job == job && w.dice.IntN(8) > 0 {
			p.print = d.Fingerprint
		}
	}
	if before != nil && w.dice.IntN(2) == 0 {
		job, p.print = before.run.job, before.print
	}
	p.from = w.sides[0].cursors[job] + time.Duration(w.dice.IntN(4)/3)*time.Second
	p.run = twinRun{job: job, origin: domain.OriginSchedule, at: p.from + time.Duration(1+w.dice.IntN(2))*time.Second}
	if w.dice.IntN(3) == 0 {
		p.run = twinRun{job: job, origin: domain.OriginManual, id: fmt.Sprint(w.dice.IntN(1 + w.runs)), at: time.Second}
		p.moveOnly = false
	}
	return p
}

func (w *twins) claim() {
	var plans []plan
	jobs := w.registered()
	var before *plan
	for range w.dice.IntN(5) {
		if len(jobs) == 0 {
			return
		}
		plans = append(plans, w.plan(jobs, before))
		before = &plans[len(plans)-1]
	}
	w.ask(func(_ int, side *twin) []domain.Intent {
		intents := make([]domain.Intent, len(plans))
		for i, p := range plans {
			intents[i] = domain.Intent{Run: side.key(p.run), Replica: p.replica, Fingerprint: p.print, Slot: p.slot, MoveOnly: p.moveOnly, Lease: claimLease}
			if p.run.origin == domain.OriginSchedule {
				base := side.base[p.run.job]
				intents[i].Move = &domain.CursorMove{From: base.Add(p.from), To: base.Add(p.run.at)}
			}
		}
		return intents
	})
}

// some returns a few of the latest claims.
func (w *twins) some() []twinClaim {
	var some []twinClaim
	for range w.dice.IntN(4) {
		if recent := w.claims[max(len(w.claims)-12, 0):]; len(recent) > 0 {
			some = append(some, recent[w.dice.IntN(len(recent))])
		}
	}
	return some
}

// hold asks for the slot under claims.
func (w *twins) hold() {
	some, slot := w.some(), w.slot()
	w.ask(func(i int, side *twin) []domain.Intent {
		var intents []domain.Intent
		for _, c := range some {
			intents = append(intents, domain.Intent{
				Run: side.key(c.run), Replica: c.replica, Fingerprint: c.print, Held: c.tokens[i], Slot: slot, Lease: claimLease,
			})
		}
		return intents
	})
}

func (w *twins) renew() {
	some := w.some()
	both(w, "Renew", func(i int, side *twin) []domain.Renewal {
		var refs []domain.ClaimRef
		for _, c := range some {
			refs = append(refs, domain.ClaimRef{Run: side.key(c.run), Token: c.tokens[i]})
		}
		renewals, err := side.Renew(w.Context(), refs, claimLease)
		if err != nil {
			w.Fatalf("Renew = %v, want no error", err)
		}
		return renewals
	})
}

func (w *twins) finish() {
	some := w.some()
	ends := make([]domain.RunEnd, len(some))
	for i := range ends {
		ends[i] = [...]domain.RunEnd{domain.EndFired, domain.EndFinished, domain.EndReleased}[w.dice.IntN(3)]
	}
	both(w, "Finish", func(i int, side *twin) []bool {
		var results []domain.RunResult
		for n, c := range some {
			results = append(results, domain.RunResult{
				Claim: domain.ClaimRef{Run: side.key(c.run), Token: c.tokens[i]}, End: ends[n], Attempts: n,
			})
		}
		held, err := side.Finish(w.Context(), results)
		if err != nil {
			w.Fatalf("Finish = %v, want no error", err)
		}
		return held
	})
}

type twinAbandoned struct {
	run      twinRun
	phase    domain.Phase
	crashes  int
	attempts int
	print    string
}

func (w *twins) abandoned() {
	replica := w.replica()
	tokens := [2]map[twinRun]domain.ClaimToken{{}, {}}
	taken := both(w, "Abandoned("+replica+")", func(i int, side *twin) []twinAbandoned {
		claims, err := side.Abandoned(w.Context(), replica, claimLease, 1000)
		if err != nil {
			w.Fatalf("Abandoned = %v, want no error", err)
		}
		var answers []twinAbandoned
		for _, c := range claims {
			run := side.run(c.Run)
			tokens[i][run] = c.Token
			answers = append(answers, twinAbandoned{run, c.Phase, c.Crashes, c.Attempts, c.Fingerprint})
		}
		// Claims that lapse at one moment have no order.
		slices.SortFunc(answers, func(x, y twinAbandoned) int { return cmp.Compare(fmt.Sprint(x.run), fmt.Sprint(y.run)) })
		return answers
	})
	for _, c := range taken {
		w.claims = append(w.claims, twinClaim{c.run, replica, c.print, [2]domain.ClaimToken{tokens[0][c.run], tokens[1][c.run]}})
	}
}

// pass lets time pass.
func (w *twins) pass() {
	d := []time.Duration{ReplicaLease / 2, ReplicaLease, claimLease + time.Second}[w.dice.IntN(3)]
	w.skew += d
	clear(w.alive)
	if err := w.subject.Age(d); err != nil {
		w.Fatalf("let %s pass: %v", d, err)
	}
}

func (w *twins) toggle() {
	job, pause := w.pick(twinJobs()...), w.dice.IntN(3) == 0
	for i := range w.sides {
		change := w.sides[i].ResumeJob
		if pause {
			change = w.sides[i].PauseJob
		}
		if err := change(w.Context(), job); err != nil {
			w.Fatalf("pause or resume %s = %v, want no error", job, err)
		}
	}
}
