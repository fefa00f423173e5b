package porttest

import (
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

func definitionCases() []ledgerCase {
	return []ledgerCase{
		{"a job never seen starts at store time", (*ledgerStage).startsAtStoreTime},
		{"the scope is as declared", (*ledgerStage).tellsItsScope},
		{"a replica learns of changes only, and of its own jobs", (*ledgerStage).tellsChanges},
		{"of many jobs a replica learns those that changed", (*ledgerStage).tellsWhichChanged},
		{"a version of the future asks for everything", (*ledgerStage).forgivesAForeignVersion},
		{"a job that a replica adds is news to it", (*ledgerStage).tellsAddedJobs},
		{"a cursor outlives the replicas", (*ledgerStage).keepsTheCursor},
		{"a new definition is valid from store time", (*ledgerStage).validFromStoreTime},
		{"an old definition is superseded", (*ledgerStage).supersedesTheOld},
		{"an old definition is valid again when nobody has the newer one", (*ledgerStage).rollsBack},
		{"a definition that its replica drops is no longer valid", (*ledgerStage).dropsADefinition},
		{"a replica that comes back with an old definition does not win", (*ledgerStage).keepsTheOrder},
		{"a replica may change its own definition and change it back", (*ledgerStage).redefines},
		{"a held claim is good whatever definition came since", (*ledgerStage).honoursHeldClaims},
		{"a paused job decides its ticks and starts none", (*ledgerStage).pausesTicks},
		{"a paused job runs by hand", (*ledgerStage).runsPausedJobsByHand},
		{"a claim held before the pause may start", (*ledgerStage).startsHeldClaimsWhenPaused},
		{"a resumed job ticks from store time on", (*ledgerStage).resumesFromNow},
		{"a resumed job that was not paused keeps its cursor", (*ledgerStage).resumesWithoutHarm},
		{"a job that is not there cannot be paused", (*ledgerStage).pausesKnownJobsOnly},
	}
}

// pause pauses the stage's job.
func (s *ledgerStage) pause() {
	s.Helper()
	if err := s.schedule.PauseJob(s.Context(), stageJob); err != nil {
		s.Fatalf("PauseJob = %v, want no error", err)
	}
}

func (s *ledgerStage) resume() {
	s.Helper()
	if err := s.schedule.ResumeJob(s.Context(), stageJob); err != nil {
		s.Fatalf("ResumeJob = %v, want no error", err)
	}
}

// wantFrom checks that the state's cursor lies at the reply's time or after
// it by no more than the time of a call.
func (s *ledgerStage) wantFrom(state domain.JobState, from time.Time) {
	s.Helper()
	if early, late := state.Cursor.Before(from.Truncate(time.Millisecond)), state.Cursor.After(from.Add(time.Second)); early || late {
		s.Errorf("the cursor is at %s, want store time %s", state.Cursor, from)
	}
}

func (s *ledgerStage) startsAtStoreTime() {
	s.harness.Advance(4 * s.features.Lease)
	before := s.sync("ann", stagePrint, 0, stageJob).Now
	reply := s.sync("ann", stagePrint, 0, "fresh")
	s.wantFrom(reply.Jobs[0], before)
	if state := reply.Jobs[0]; state.Revision != 1 || state.Superseded || state.Paused {
		s.Errorf("a fresh job is %+v, want revision 1, valid and not paused", state)
	}
}

func (s *ledgerStage) tellsItsScope() {
	if got := s.sync("ann", stagePrint, 0, stageJob).Scope; got != s.features.Scope {
		s.Errorf("Scope = %q, want %q", got, s.features.Scope)
	}
}

func (s *ledgerStage) tellsChanges() {
	s.sync("dan", stagePrint, 0, "other")
	first := s.sync("ann", stagePrint, 0, stageJob)
	quiet := s.sync("ann", stagePrint, first.Version, stageJob)
	if len(first.Jobs) != 1 || len(quiet.Jobs) != 0 {
		s.Errorf("Sync returns %d jobs, then %d, want 1, then none", len(first.Jobs), len(quiet.Jobs))
	}
	s.want(domain.Granted, s.tick("bob", 1))
	moved := s.sync("ann", stagePrint, quiet.Version, stageJob)
	if len(moved.Jobs) != 1 || !moved.Jobs[0].Cursor.Equal(s.at(1)) {
		s.Errorf("Sync returns %+v after a claim, want the cursor at %s", moved.Jobs, s.at(1))
	}
}

func (s *ledgerStage) tellsWhichChanged() {
	jobs := []string{"a", "b", "c", "d"}
	version := s.sync("ann", stagePrint, 0, jobs...).Version
	for _, job := range []string{"b", "c", "b"} {
		if err := s.schedule.PauseJob(s.Context(), job); err != nil {
			s.Fatalf("PauseJob(%s) = %v, want no error", job, err)
		}
	}
	reply := s.sync("ann", stagePrint, version, jobs...)
	changed := map[string]bool{}
	for _, state := range reply.Jobs {
		changed[state.Job] = state.Paused
	}
	if diff := cmp.Diff(map[string]bool{"b": true, "c": true}, changed); diff != "" || len(reply.Jobs) != 2 {
		s.Errorf("Sync returns %d jobs, paused differ (-want +got):\n%s", len(reply.Jobs), diff)
	}
}

func (s *ledgerStage) forgivesAForeignVersion() {
	version := s.sync("ann", stagePrint, 0, stageJob).Version
	if got := len(s.sync("ann", stagePrint, version+1000, stageJob).Jobs); got != 1 {
		s.Errorf("Sync(foreign version) returns %d jobs, want 1", got)
	}
}

func (s *ledgerStage) tellsAddedJobs() {
	s.sync("dan", stagePrint, 0, "other")
	version := s.sync("ann", stagePrint, 0, stageJob).Version
	added := s.sync("ann", stagePrint, version, stageJob, "other").Jobs
	if len(added) != 1 || added[0].Job != "other" {
		s.Errorf("Sync returns %+v, want the job %q", added, "other")
	}
}

func (s *ledgerStage) keepsTheCursor() {
	s.want(domain.Granted, s.tick("ann", 1))
	s.harness.Advance(3 * s.features.ReplicaLease)
	if state := s.register("dan", stagePrint); !state.Cursor.Equal(s.at(1)) || state.Revision != 1 {
		s.Errorf("dan sees %+v, want cursor %s of revision 1", state, s.at(1))
	}
}

func (s *ledgerStage) validFromStoreTime() {
	s.harness.Advance(4 * s.features.Lease)
	before := s.sync("ann", stagePrint, 0, stageJob).Now
	state := s.register("ann", "v2")
	s.wantFrom(state, before)
	if state.Revision != 2 || state.Superseded {
		s.Errorf("the new definition is %+v, want revision 2, valid", state)
	}
}

func (s *ledgerStage) supersedesTheOld() {
	version := s.sync("bob", stagePrint, 0, stageJob).Version
	cursor := s.register("ann", "v2").Cursor
	news := s.sync("bob", stagePrint, version, stageJob).Jobs
	if len(news) != 1 || !news[0].Superseded {
		s.Errorf("bob learns %+v, want that the job is superseded", news)
	}
	s.want(domain.Superseded, s.manual("bob", "1"))
	tick := s.tick("bob", 60)
	tick.Move.From = cursor
	s.want(domain.Superseded, tick)
	tick.Replica, tick.Fingerprint = "ann", "v2"
	s.want(domain.Granted, tick)
}

func (s *ledgerStage) rollsBack() {
	s.register("ann", "v2")
	reply := s.sync("bob", stagePrint, 0, stageJob)
	if !reply.Jobs[0].Superseded {
		s.Errorf("bob sees %+v while ann lives, want it superseded", reply.Jobs[0])
	}
	reply.Jobs = nil
	for n := 0; n < 4 && len(reply.Jobs) == 0; n++ {
		s.harness.Advance(s.features.ReplicaLease / 3)
		reply = s.sync("bob", stagePrint, reply.Version, stageJob)
	}
	if len(reply.Jobs) != 1 || reply.Jobs[0].Superseded {
		s.Fatalf("bob learns %+v, want that the job is valid again", reply.Jobs)
	}
	s.wantFrom(reply.Jobs[0], reply.Now)
	s.want(domain.Granted, s.manual("bob", "1"))
}

func (s *ledgerStage) dropsADefinition() {
	s.register("ann", "v2")
	s.sync("ann", "", 0)
	if state := s.register("bob", stagePrint); state.Superseded {
		s.Errorf("bob sees %+v, want a valid job", state)
	}
}

func (s *ledgerStage) keepsTheOrder() {
	for _, replica := range stageReplicas() {
		s.register(replica, "v2")
	}
	s.harness.Advance(s.features.ReplicaLease / 3)
	if state := s.register("late", stagePrint); !state.Superseded {
		s.Errorf("a replica with the old definition sees %+v, want it superseded", state)
	}
	if state := s.register("ann", "v2"); state.Superseded {
		s.Errorf("a replica with the newer definition sees %+v, want it valid", state)
	}
}

func (s *ledgerStage) redefines() {
	for _, replica := range stageReplicas() {
		s.register(replica, "v2")
	}
	s.harness.Advance(time.Second)
	for _, replica := range stageReplicas() {
		s.register(replica, stagePrint)
	}
	if state := s.register("ann", stagePrint); state.Superseded || state.Cursor.Before(s.at(1)) {
		s.Errorf("ann sees %+v, want a valid job from %s on", state, s.at(1))
	}
	s.want(domain.Granted, s.manual("ann", "1"))
}

func (s *ledgerStage) honoursHeldClaims() {
	claim := s.want(domain.Granted, s.tick("bob", 1)).Claim
	s.register("ann", "v2")
	s.want(domain.Granted, s.again("bob", claim, domain.SlotSkip))
	s.wantRenewal(domain.RenewalHeld, claim)
	s.wantFinish(true, claim, domain.EndFired)
}

func (s *ledgerStage) pausesTicks() {
	version := s.sync("bob", stagePrint, 0, stageJob).Version
	s.pause()
	s.pause()
	if news := s.sync("bob", stagePrint, version, stageJob).Jobs; len(news) != 1 || !news[0].Paused {
		s.Errorf("bob learns %+v, want that the job is paused", news)
	}
	if v := s.want(domain.Paused, s.tick("ann", 1)); !v.Cursor.Equal(s.at(1)) || v.Claim.Token != 0 {
		s.Errorf("the paused tick has cursor %s, token %d, want %s and none", v.Cursor, v.Claim.Token, s.at(1))
	}
	s.want(domain.Taken, s.tick("bob", 1))
}

func (s *ledgerStage) runsPausedJobsByHand() {
	s.pause()
	s.want(domain.Granted, inSlot(domain.SlotSkip, s.manual("ann", "1")))
}

func (s *ledgerStage) startsHeldClaimsWhenPaused() {
	claim := s.want(domain.Granted, s.tick("ann", 1)).Claim
	s.pause()
	s.want(domain.Granted, s.again("ann", claim, domain.SlotSkip))
}

func (s *ledgerStage) resumesFromNow() {
	s.pause()
	s.harness.Advance(time.Second)
	before := s.sync("ann", stagePrint, 0, stageJob).Now
	s.resume()
	state := s.register("ann", stagePrint)
	s.wantFrom(state, before)
	if state.Paused {
		s.Error("the job is still paused")
	}
}

func (s *ledgerStage) resumesWithoutHarm() {
	s.harness.Advance(time.Second)
	s.resume()
	s.wantCursor(s.base)
}

func (s *ledgerStage) pausesKnownJobsOnly() {
	if err := s.schedule.PauseJob(s.Context(), "nobody"); !errors.Is(err, ports.ErrNotFound) {
		s.Errorf("PauseJob(nobody) = %v, want ErrNotFound", err)
	}
	if err := s.schedule.ResumeJob(s.Context(), "nobody"); !errors.Is(err, ports.ErrNotFound) {
		s.Errorf("ResumeJob(nobody) = %v, want ErrNotFound", err)
	}
}
