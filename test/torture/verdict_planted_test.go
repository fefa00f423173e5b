package torture_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// faultless is a run of three jobs: one plain, one begun again after a kill,
// and one that a pause of its worker let run twice at once.
func faultless() evidence {
	return evidence{
		accepted: []accepted{{"1", "a"}, {"2", "b"}, {"3", "c"}},
		effects: []effect{
			{began, 10, "1", "a", 1, 100},
			{ended, 10, "1", "a", 1, 110},
			{began, 10, "2", "b", 1, 120},
			{began, 11, "2", "b", 2, 220},
			{ended, 11, "2", "b", 2, 230},
			{began, 12, "3", "c", 1, 300},
			{began, 11, "3", "c", 2, 400},
			{ended, 11, "3", "c", 2, 410},
			{cancelled, 12, "3", "c", 1, 450},
		},
		blows: []blow{{killedWorker, 10, 130, 135}, {pausedWorker, 12, 310, 440}},
		contents: contents{
			places: map[string][]string{"1": {"completed"}, "2": {"completed"}, "3": {"completed"}},
			hashes: map[string]bool{"1": true, "2": true, "3": true},
		},
	}
}

func ordinary() rules { return rules{concurrency: 2, workers: 3, batch: 1, crashes: 2} }

func TestARunWithoutFaultIsAcquitted(t *testing.T) {
	e := faultless()
	tally, wrong := e.judge(ordinary())
	if len(wrong) > 0 {
		t.Errorf("judge = %q, want nothing wrong", wrong)
	}
	if tally.accepted != 3 || tally.completed != 3 || tally.duplicates != 2 || tally.kills != 1 {
		t.Errorf("judge = %s, want 3 accepted, 3 completed, 2 duplicates, 1 kill", tally)
	}
}

func TestPlantedViolationsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(*evidence)
		want  string
	}{
		"a lost job": {func(e *evidence) { delete(e.contents.places, "1"); delete(e.contents.hashes, "1") }, "job 1: lost"},
		"a job in two places": {func(e *evidence) {
			e.contents.places["1"] = []string{"active", "completed"}
		}, "in active and completed at once"},
		"a job without a hash":       {func(e *evidence) { delete(e.contents.hashes, "1") }, "without a hash"},
		"a hash without a place":     {func(e *evidence) { e.contents.hashes["9"] = true }, "a hash that no place names"},
		"a job left in active":       {func(e *evidence) { e.contents.places["1"] = []string{"active"} }, "left in active"},
		"a lock left behind":         {func(e *evidence) { e.contents.locks = []string{"1"} }, "still locked"},
		"an id accepted twice":       {func(e *evidence) { e.accepted = append(e.accepted, accepted{"1", "z"}) }, "accepted twice"},
		"work accepted as two jobs":  {func(e *evidence) { e.accepted[1].Key = "a" }, "work a: added as 1 and as 2"},
		"work done as another job":   {plantWorkTwice, "work a: done as job 4, accepted as 1"},
		"completed without a begin":  {func(e *evidence) { e.effects = e.effects[2:] }, "job 1: completed, but no handler ended it"},
		"completed without an end":   {func(e *evidence) { e.effects = slices.Delete(e.effects, 1, 2) }, "no handler ended it"},
		"an end without a begin":     {func(e *evidence) { e.effects = slices.Delete(e.effects, 0, 1) }, "that it did not begin"},
		"a job never accepted":       {func(e *evidence) { e.accepted = e.accepted[1:] }, "1 jobs were added without an answer"},
		"a job from nowhere":         {func(e *evidence) { e.effects = append(e.effects, effect{began, 10, "7", "x", 1, 500}) }, "neither accepted nor on the queue"},
		"failed without crashes":     {func(e *evidence) { e.contents.places["1"] = []string{"failed"} }, "job 1: failed with"},
		"a duplicate without cause":  {func(e *evidence) { e.blows = e.blows[1:] }, "nothing hit the first"},
		"a cause after the fact":     {func(e *evidence) { e.blows[0].From, e.blows[0].Until = 225, 226 }, "nothing hit the first"},
		"a cause before the fact":    {func(e *evidence) { e.blows[0].From, e.blows[0].Until = 90, 95 }, "nothing hit the first"},
		"a cause that hit another":   {func(e *evidence) { e.blows[0].PID = 77 }, "nothing hit the first"},
		"a second duplicate":         {plantThirdStart, "begun by 11, begun again by 13"},
		"an execution that overlaps": {func(e *evidence) { e.effects = append(e.effects, effect{ended, 10, "2", "b", 1, 225}) }, "before 10 was through with it"},
		"a start counted twice":      {func(e *evidence) { e.effects[3].Started, e.effects[4].Started = 1, 1 }, "start 1 follows start 1"},
		"more duplicates than slots": {plantManyDuplicates, "explains 4 at most"},
	} {
		t.Run(name, func(t *testing.T) {
			e := faultless()
			c.plant(&e)
			_, wrong := e.judge(ordinary())
			if !slices.ContainsFunc(wrong, func(w string) bool { return strings.Contains(w, c.want) }) {
				t.Errorf("judge = %q, want something with %q", wrong, c.want)
			}
		})
	}
}

func plantWorkTwice(e *evidence) {
	e.effects = append(e.effects, effect{began, 10, "4", "a", 1, 500}, effect{ended, 10, "4", "a", 1, 510})
	e.contents.places["4"], e.contents.hashes["4"] = []string{"completed"}, true
}

func plantThirdStart(e *evidence) {
	e.effects = append(e.effects, effect{began, 13, "2", "b", 3, 600}, effect{ended, 13, "2", "b", 3, 610})
}

// plantManyDuplicates kills one worker of two slots while five jobs run.
func plantManyDuplicates(e *evidence) {
	for i := range 5 {
		id := fmt.Sprint("m", i)
		e.accepted = append(e.accepted, accepted{id, id})
		e.contents.places[id], e.contents.hashes[id] = []string{"completed"}, true
		e.effects = append(e.effects,
			effect{began, 10, id, id, 1, 125}, effect{began, 11, id, id, 2, 225}, effect{ended, 11, id, id, 2, 230})
	}
}

func TestDuplicatesByAnAbsenceOfTheServerAreToldApart(t *testing.T) {
	e := faultless()
	e.blows[0] = blow{serverAway, 1, 130, 200}
	e.effects = slices.Insert(e.effects, 3, effect{cancelled, 10, "2", "b", 1, 190})
	tally, wrong := e.judge(ordinary())
	if len(wrong) > 0 || tally.byServer != 1 {
		t.Errorf("judge = %s, %q, want one duplicate by the server's absence and nothing wrong", tally, wrong)
	}
}

func TestATornLastLineIsNoRecord(t *testing.T) {
	d := newDesk(t)
	for _, text := range []string{"1 a\n2 b\n", "3 "} {
		if err := appendTo(d.acceptedBy("p"), text); err != nil {
			t.Fatal(err)
		}
	}
	d.note(t, blow{killedWorker, 5, 10, 20})
	if err := appendTo(d.effects(), effect{began, 5, "1", "a", 1, 9}.line()); err != nil {
		t.Fatal(err)
	}
	e := d.gather(t, contents{})
	if len(e.accepted) != 2 || e.accepted[1] != (accepted{"2", "b"}) {
		t.Errorf("accepted = %v, want 1 a and 2 b", e.accepted)
	}
	if len(e.blows) != 1 || e.blows[0] != (blow{killedWorker, 5, 10, 20}) {
		t.Errorf("blows = %v, want the one noted", e.blows)
	}
	if len(e.effects) != 1 || e.effects[0] != (effect{began, 5, "1", "a", 1, 9}) {
		t.Errorf("effects = %v, want the one noted", e.effects)
	}
}
