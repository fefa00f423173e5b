package differential_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// show writes the sequence as a file of testdata.
func show(seq *sequence) string {
	var out strings.Builder
	setup, _ := json.Marshal(seq.Setup)
	fmt.Fprintf(&out, "{\"setup\": %s, \"steps\": [\n", setup)
	for i := range seq.Steps {
		line, _ := json.Marshal(seq.Steps[i])
		comma := ","
		if i == len(seq.Steps)-1 {
			comma = ""
		}
		fmt.Fprintf(&out, "  %s%s\n", line, comma)
	}
	return out.String() + "]}"
}

// minimise leaves out steps as long as the sides differ. It returns the
// smaller sequence and the difference, none if the sequence does not differ
// again.
func (w *world) minimise(ctx context.Context, seq *sequence) (*sequence, *difference, error) {
	w.everyStep = true
	defer func() { w.everyStep = false }()
	found, err := w.play(ctx, seq)
	if err != nil || found == nil {
		return seq, nil, err
	}
	smaller := &sequence{Setup: seq.Setup, Steps: seq.Steps[:found.step+1]}
	for size := len(smaller.Steps) / 2; size > 0; size /= 2 {
		for at := len(smaller.Steps) - size; at >= 0; at -= size {
			without := &sequence{Setup: smaller.Setup}
			without.Steps = append(append(without.Steps, smaller.Steps[:at]...), smaller.Steps[at+size:]...)
			again, err := w.play(ctx, without)
			if err != nil {
				return nil, nil, err
			}
			if again != nil {
				without.Steps = without.Steps[:again.step+1]
				smaller, found = without, again
				at = min(at, len(smaller.Steps))
			}
		}
	}
	return smaller, found, nil
}
