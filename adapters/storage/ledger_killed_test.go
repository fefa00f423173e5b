package storage_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

// judgeNotes checks what children were told by the ledger, without looking at
// the ledger: each run is granted once and ended once, nobody takes over what
// has ended, and no token is given out twice. It returns the runs that have not ended, and all
// that were granted.
func judgeNotes(t *testing.T, notes []note) (open, granted map[string]bool) {
	t.Helper()
	granted = map[string]bool{}
	ended, tokens := map[string]bool{}, map[domain.ClaimToken]string{}
	for _, n := range notes {
		switch n.Event {
		case noteGranted:
			if granted[n.Run] {
				t.Errorf("%s is granted twice", n.Run)
			}
			granted[n.Run] = true
		case noteTaken:
			if ended[n.Run] {
				t.Errorf("%s is taken over by %s after its end", n.Run, n.Replica)
			}
		case noteFinished:
			if ended[n.Run] {
				t.Errorf("%s ends twice", n.Run)
			}
			ended[n.Run] = true
			continue
		default:
			continue
		}
		if run := tokens[n.Token]; run != "" {
			t.Errorf("the token %d is that of %s and of %s", n.Token, run, n.Run)
		}
		tokens[n.Token] = n.Run
	}
	open = map[string]bool{}
	for run := range granted {
		if !ended[run] {
			open[run] = true
		}
	}
	return open, granted
}

// Two processes write one file, and one or the other is killed at random
// moments: nothing is lost, no other process is refused, the file is whole.
func TestLedger_losesNothingWhenProcessesAreKilled(t *testing.T) {
	t.Parallel()
	const kills, jobs = 12, 5
	dir := t.TempDir()
	c := child{Path: filepath.Join(dir, "takt.db"), Notes: filepath.Join(dir, "notes"), Jobs: jobs, Lease: time.Second}
	playAndKill(t, c, kills)
	notes := readNotes(t, c.Notes)
	open, granted := judgeNotes(t, notes)
	if limit := (kills + 2) * (jobs + 10); len(open) > limit {
		t.Errorf("%d runs have not ended, want at most those that %d kills hit", len(open), kills+2)
	}
	wantWhole(t, c, granted)
	t.Logf("%d notes, %d runs granted, %d not noted as ended", len(notes), len(granted), len(open))
}

// playAndKill has two children at a time write one file, and kills one or the other at
// random moments.
func playAndKill(t *testing.T, c child, kills int) {
	t.Helper()
	launch := func(n int) func() {
		c.Name = fmt.Sprint("child-", n)
		return c.launch(t)
	}
	running := []func(){launch(0), launch(1)}
	for n := range kills {
		awaitGrowth(t, c.Notes)
		<-time.After(rand.N(100 * time.Millisecond))
		running[n%2]()
		running[n%2] = launch(n + 2)
	}
	awaitGrowth(t, c.Notes)
	running[0]()
	running[1]()
}

// awaitGrowth waits until the file has grown a few times.
func awaitGrowth(t *testing.T, path string) {
	t.Helper()
	const times = 5
	limit, pace := time.After(time.Minute), time.NewTicker(time.Millisecond)
	defer pace.Stop()
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	before := size()
	for grown := 0; grown < times; {
		select {
		case <-limit:
			t.Fatalf("%s does not grow", path)
		case <-pace.C:
		}
		if now := size(); now > before {
			before = now
			grown++
		}
	}
}

// openIntact opens the file of children that are gone, and checks that it is intact.
func openIntact(t *testing.T, path string) *storage.DB {
	t.Helper()
	db := openFile(t, path)
	wantIntact(t, db)
	return db
}

func wantIntact(t *testing.T, db *storage.DB) {
	t.Helper()
	var result string
	if err := db.Bun().NewRaw("PRAGMA integrity_check").Scan(t.Context(), &result); err != nil || result != "ok" {
		t.Errorf("integrity_check = %s, %v, want ok", result, err)
	}
}

// wantWhole opens the file of children that are gone: it is whole, knows all
// that they were told, and lets go of what they held.
func wantWhole(t *testing.T, c child, granted map[string]bool) {
	t.Helper()
	db := openIntact(t, c.Path)
	ledger := db.Ledger("")
	cursors := map[string]time.Time{}
	for _, state := range syncAs(t, ledger, "last", manyDefinitions(c.Jobs)).Jobs {
		cursors[state.Job] = state.Cursor
	}
	for run := range granted {
		job, planned, _ := strings.Cut(run, "@")
		if at, err := time.Parse(time.RFC3339Nano, planned); err != nil || at.After(cursors[job]) {
			t.Errorf("%s was granted, and the cursor is at %s (%v)", run, cursors[job], err)
		}
	}
	<-time.After(c.Lease)
	for {
		claims, err := ledger.Abandoned(t.Context(), "last", time.Minute, 100)
		if err != nil {
			t.Fatalf("Abandoned = %v, want no error", err)
		}
		if len(claims) == 0 {
			return
		}
		finishAll(t, ledger, claims)
	}
}

// The disk fills up under one process, and is given room when a write has
// failed; another process goes on writing.
func TestLedger_losesNothingOnAFullDisk(t *testing.T) {
	t.Parallel()
	const rounds, jobs = 5, 5
	dir := t.TempDir()
	c := child{Path: filepath.Join(dir, "takt.db"), Notes: filepath.Join(dir, "notes"), Jobs: jobs, Lease: time.Second}
	playOnAFullDisk(t, c, rounds)
	_, granted := judgeNotes(t, readNotes(t, c.Notes))
	wantWhole(t, c, granted)
}

// playOnAFullDisk has a child that writes beside one after the other that the disk fills
// up under, each of which is killed when it has gone on.
func playOnAFullDisk(t *testing.T, c child, rounds int) {
	t.Helper()
	full := func() (count int) {
		for _, n := range readNotes(t, c.Notes) {
			if n.Event == noteFull {
				count++
			}
		}
		return count
	}
	c.Name = "roomy"
	roomy := c.launch(t)
	awaitGrowth(t, c.Notes)
	for n := range rounds {
		c.Name, c.Room = fmt.Sprint("cramped-", n), 1+int64(n)*3000
		cramped := c.launch(t)
		limit := time.After(time.Minute)
		for full() <= n {
			select {
			case <-limit:
				t.Fatal("the disk does not fill up")
			case <-time.After(10 * time.Millisecond):
			}
		}
		awaitGrowth(t, c.Notes)
		cramped()
	}
	roomy()
}
