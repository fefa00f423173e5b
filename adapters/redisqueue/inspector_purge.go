package redisqueue

import (
	"context"
	"strconv"

	"github.com/taktwork/takt/core/domain"
)

// place is a list or set that jobs are removed from; which narrows it to
// "parked" ones or to "delayed" ones that are not.
type place struct{ name, which string }

// clean removes jobs of the places by age, and says how many there were.
func (w *walk) clean(ctx context.Context, places []place) error {
	age := ""
	if w.op.OlderThan > 0 {
		age = strconv.FormatInt(w.op.OlderThan.Milliseconds(), 10)
	}
	if err := w.purge(ctx, places, age); err != nil || w.op.DryRun {
		return err
	}
	_, err := w.call(ctx, "operate_cleaned", strconv.Itoa(w.done))
	return err
}

func placesOf(state domain.State) []place {
	switch state {
	case domain.StateWait:
		return []place{{name: "paused"}, {name: "wait"}}
	case domain.StateDelayed, domain.StateParked:
		return []place{{name: "delayed", which: string(state)}}
	case domain.StatePrioritized, domain.StateCompleted, domain.StateFailed, domain.StateActive, domain.StateWaitingChildren:
	}
	return []place{{name: string(state)}}
}

// purge removes the jobs of the places that have the age in ms; empty means
// any.
func (w *walk) purge(ctx context.Context, places []place, age string) error {
	for _, p := range places {
		err := w.slices(ctx, func(skip int) (unpacker, error) {
			return w.call(ctx, "operate_purge", p.name, p.which, age,
				strconv.Itoa(skip), strconv.Itoa(purgeSlice), strconv.Itoa(min(w.left(), purgeSlice)))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
