package differential_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tally counts the steps that Takt was to carry out, by their methods, and
// those that it did: what never comes is not tested.
type tally struct {
	mu    sync.Mutex
	asked map[string]int
	ours  map[string]int
}

func newTally() *tally { return &tally{asked: map[string]int{}, ours: map[string]int{}} }

func (c *tally) add(s *step, ours bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := s.Do + " " + s.Method
	c.asked[name]++
	if ours {
		c.ours[name]++
	}
}

// report says how often Takt did what, and fails for what it never did.
func (c *tally) report(t *testing.T) {
	t.Helper()
	const enough = 50
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.asked)) {
		fmt.Fprintf(&out, "\n%6d of %6d %s", c.ours[name], c.asked[name], name)
		if c.asked[name] >= enough && c.ours[name] == 0 {
			t.Errorf("%s was to be Takt's %d times, and never was", name, c.asked[name])
		}
	}
	t.Logf("steps by Takt:%s", out.String())
}
