package differential_test

import (
	"context"
	"fmt"
	"slices"
)

// refusals tells whether a step that ends several jobs completes one whose
// children do not let it. Ours writes the failure after it has taken other
// jobs, which the sides would have to differ in.
func (w *world) refusals(ctx context.Context, s *step) (bool, error) {
	if len(s.Endings) < 2 {
		return false, nil
	}
	var completed []string
	for _, e := range s.Endings {
		if e.Kind != "complete" {
			continue
		}
		job := keyOf(s, w.slots[slotKey{s.Queue, e.Slot}].ids[0])
		failed, err := w.redis[0].ZCard(ctx, job+":unsuccessful").Result()
		if err != nil {
			return false, fmt.Errorf("read children: %w", err)
		}
		pending, err := w.redis[0].SMembers(ctx, job+":dependencies").Result()
		if err != nil {
			return false, fmt.Errorf("read children: %w", err)
		}
		for _, child := range pending {
			if !slices.Contains(completed, child) {
				return true, nil
			}
		}
		if failed > 0 {
			return true, nil
		}
		completed = append(completed, job)
	}
	return false, nil
}
