package torture_test

import (
	"testing"

	"github.com/taktwork/takt/test/redistest"
)

// awaitEnd waits until no job is left to do.
func awaitEnd(t testing.TB, server *redistest.Server) {
	t.Helper()
	client := server.Client()
	await(t, "the end of all jobs", patience, func() bool {
		left, err := unfinished(t.Context(), client)
		return err == nil && left == 0
	})
}

// judged gathers the evidence, judges it by the rules, logs what the run came
// to and fails the test for what was wrong.
func judged(t testing.TB, d desk, server *redistest.Server, r rules) (evidence, tally) {
	t.Helper()
	found, err := readContents(t.Context(), server.Client())
	if err != nil {
		t.Fatal(err)
	}
	e := d.gather(t, found)
	sum, wrong := e.judge(r)
	t.Log(sum)
	report(t, wrong)
	return e, sum
}

// report fails the test for each violation, and shows the first of many.
func report(t testing.TB, wrong []string) {
	t.Helper()
	const shown = 20
	for i, w := range wrong {
		if i == shown {
			t.Errorf("and %d violations more", len(wrong)-shown)
			return
		}
		t.Error(w)
	}
}
