package schedule

import (
	"fmt"
	"strings"
)

// KnownZones returns the names that errors suggest.
func KnownZones() []string { return strings.Fields(knownZones) }

// Civil and DaysSinceEpoch expose the calendar arithmetic.
var (
	Civil          = civil
	DaysSinceEpoch = daysSinceEpoch
	Weekday        = weekday
)

// Broken returns what is wrong with the order of the planner's heap, or "".
func (p *Planner) Broken() string {
	for node, e := range p.queue.heap {
		if int(p.queue.places[e.slot]) != node {
			return fmt.Sprintf("slot %d is at node %d, not %d", e.slot, node, p.queue.places[e.slot])
		}
		if parent := (node - 1) / arity; node > 0 && e.before(p.queue.heap[parent]) {
			return fmt.Sprintf("node %d comes before its parent %d", node, parent)
		}
	}
	if len(p.queue.heap) != len(p.slots) {
		return fmt.Sprintf("%d queued, %d known", len(p.queue.heap), len(p.slots))
	}
	return ""
}
