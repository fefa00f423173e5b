package differential_test

import (
	"context"
	"math/rand/v2"
)

// generator makes up a sequence as it is played: what comes next depends on
// which slots hold jobs.
type generator struct {
	*rand.Rand

	w     *world
	flows int
	// links are the parents and children that were made.
	links []link
	// story are steps that are to come next.
	story []step
}

// link is a child and its parent with their queues.
type link struct{ queue, child, above, parent string }

const (
	fewestSteps = 10
	mostSteps   = 40
	// slotsEach is how many jobs of a queue are held at once.
	slotsEach = 3
)

// playRandom plays the sequence of the seed. It returns what was played, and
// the first difference.
func (w *world) playRandom(ctx context.Context, seed uint64) (*sequence, *difference, error) {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), w: w}
	seq := &sequence{Setup: g.setup()}
	if err := w.reset(ctx, seq.Setup); err != nil {
		return seq, nil, err
	}
	for range fewestSteps + g.IntN(mostSteps-fewestSteps+1) {
		seq.Steps = append(seq.Steps, g.step())
		what, err := w.perform(ctx, &seq.Steps[len(seq.Steps)-1])
		if err != nil || what != "" {
			return seq, &difference{len(seq.Steps) - 1, what}, err
		}
	}
	what, err := w.compareDumps(ctx)
	if err != nil || what == "" {
		return seq, nil, err
	}
	return seq, &difference{len(seq.Steps) - 1, what}, nil
}

func (g *generator) setup() setup {
	s := setup{Name: pick(g, "w", "w", ""), Signed: g.chance(50)}
	if g.chance(20) {
		s.Limiter = 1 + g.IntN(4)
	}
	if g.chance(25) {
		s.Metrics = 1 + g.IntN(5)
	}
	if g.chance(15) {
		s.KeepCompleted = 1 + g.IntN(2)
	}
	if g.chance(15) {
		s.KeepFailed = 1 + g.IntN(2)
	}
	return s
}

// kind is a kind of steps and how often it comes.
type kind struct {
	weight int
	// make returns the step, false if there is none of the kind now.
	make func() (step, bool)
}

func (g *generator) kinds() []kind {
	return []kind{
		{14, g.enqueue},
		{9, g.add},
		{6, g.addFlow},
		{1, g.addChild},
		{2, g.schedule},
		{4, g.scheduler},
		{6, g.scheduled},
		{20, g.fetch},
		{26, g.settle},
		{4, g.settleMany},
		{2, g.extend},
		{4, g.note},
		{3, g.recover},
		{8, g.touch},
		{12, g.operate},
		{10, g.operateJob},
		{4, g.crash},
		{1, g.renewal},
		{5, g.control},
		{12, g.read},
		{1, g.publish},
	}
}

func (g *generator) step() step {
	if len(g.story) > 0 {
		s := g.story[0]
		g.story = g.story[1:]
		return s
	}
	kinds := g.kinds()
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	for {
		n := g.IntN(total)
		for _, k := range kinds {
			if n -= k.weight; n >= 0 {
				continue
			}
			if s, ok := k.make(); ok {
				return s
			}
			break
		}
	}
}

// chance is true in so many of a hundred cases.
func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

func (g *generator) queue() string {
	if g.chance(75) {
		return "work"
	}
	return "boss"
}

// held returns the slots of the queue with jobs, or those without.
func (g *generator) held(queue string, full bool) []int {
	var slots []int
	for i := range slotsEach {
		if (g.w.slots[slotKey{queue, i}] != nil) == full {
			slots = append(slots, i)
		}
	}
	return slots
}

// id returns the id of some job of the queue.
func (g *generator) id(queue string) (string, bool) {
	ids := g.w.ids[queue]
	if len(ids) == 0 {
		return "", false
	}
	if g.chance(60) {
		// Young ones are more often where something can be done with them.
		ids = ids[max(0, len(ids)-4):]
	}
	return pick(g, ids...), true
}
