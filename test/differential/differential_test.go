package differential_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

var (
	sequences = flag.Int("sequences", 150, "how many random sequences are played")
	firstSeed = flag.Uint64("seed", 1, "seed of the first")
	versions  = flag.String("versions", node.V5Last, "versions of BullMQ, with commas")
	known     = flag.String("known", "*.json", "which files of testdata are played")
	lanes     = flag.Int("lanes", 2, "how many sequences are played at the same time")
	most      = flag.Int("most", 1, "how many differences are shown before it ends")
)

func TestRandomSequencesLeaveTheSameAsBullMQ(t *testing.T) {
	if testing.Short() {
		t.Skip("node is left out with -short; make test and make differential run it")
	}
	for version := range strings.SplitSeq(*versions, ",") {
		t.Run(version, func(t *testing.T) { playAll(t, version) })
	}
}

// These sequences once differed.
func TestKnownSequencesLeaveTheSameAsBullMQ(t *testing.T) {
	if testing.Short() {
		t.Skip("node is left out with -short; make test and make differential run it")
	}
	files, err := filepath.Glob(filepath.Join("testdata", *known))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sequences in testdata: %v", err)
	}
	server := redistest.Start(t)
	for lane, version := range node.Versions() {
		w := newWorld(t, server, version, lane)
		w.everyStep = true
		for _, file := range files {
			t.Run(version+" "+filepath.Base(file), func(t *testing.T) { playFile(t, w, file) })
		}
	}
}

func playFile(t *testing.T, w *world, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var seq sequence
	if err := json.Unmarshal(text, &seq); err != nil {
		t.Fatal(err)
	}
	found, err := w.play(t.Context(), &seq)
	if err != nil {
		t.Fatal(err)
	}
	if found != nil {
		t.Errorf("differs after step %d:\n%s", found.step+1, found.what)
	}
}

// playAll plays all sequences against one version.
func playAll(t *testing.T, version string) {
	server := redistest.Start(t)
	var next, played, found atomic.Uint64
	var group sync.WaitGroup
	count := newTally()
	for lane := range *lanes {
		w := newWorld(t, server, version, lane)
		w.tally = count
		group.Go(func() {
			for int(found.Load()) < *most && t.Context().Err() == nil {
				n := next.Add(1)
				if n > uint64(*sequences) {
					return
				}
				if !playSeed(t, w, *firstSeed+n-1) {
					found.Add(1)
				}
				played.Add(1)
			}
		})
	}
	group.Wait()
	t.Logf("%d sequences played, %d differ", played.Load(), found.Load())
	count.report(t)
}

// playSeed plays one sequence and says whether both sides agree.
func playSeed(t *testing.T, w *world, seed uint64) bool {
	seq, found, err := w.playRandom(t.Context(), seed)
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
		return false
	}
	if found == nil {
		return true
	}
	seq.Steps = seq.Steps[:found.step+1]
	smaller, what, err := w.minimise(t.Context(), seq)
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
		return false
	}
	if what == nil {
		t.Errorf("seed %d with BullMQ %s differs, but not when it is played again:\n%s\n%s", seed, w.version, found.what, show(seq))
		return false
	}
	t.Errorf("seed %d with BullMQ %s differs after step %d:\n%s\n%s", seed, w.version, what.step+1, what.what, show(smaller))
	return false
}
