package storage_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

// appendAll appends batch after batch, each again until it is taken.
func (w *childWork) appendAll(store *storage.RunStore) error {
	if err := w.cramp(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		about := []domain.Claim{{Token: domain.ClaimToken(n)}}
		if err := w.note(noteHanded, about); err != nil {
			return err
		}
		for err := store.Append(context.Background(), handedOver(w.Name, n)); err != nil; err = store.Append(context.Background(), handedOver(w.Name, n)) {
			if err := w.full(err); err != nil {
				return err
			}
		}
		if err := w.note(noteTook, about); err != nil {
			return err
		}
	}
}

// Two processes append to one file, and one or the other is killed at random moments.
func TestRunStoreAppend_losesNothingWhenProcessesAreKilled(t *testing.T) {
	t.Parallel()
	c := appending(t)
	playAndKill(t, c, 8)
	wantHandedOver(t, openIntact(t, c.Path), handOversIn(t, c.Notes))
}

// The disk fills up under one process, and is given room when a write has failed; another
// process goes on writing.
func TestRunStoreAppend_losesNothingOnAFullDisk(t *testing.T) {
	t.Parallel()
	c := appending(t)
	playOnAFullDisk(t, c, 4)
	wantHandedOver(t, openIntact(t, c.Path), handOversIn(t, c.Notes))
}

func appending(t *testing.T) child {
	t.Helper()
	dir := t.TempDir()
	return child{Path: filepath.Join(dir, "takt.db"), Notes: filepath.Join(dir, "notes"), Appends: true}
}

// handOversIn returns what children noted about their batches.
func handOversIn(t *testing.T, path string) handOvers {
	t.Helper()
	told, taken := handOvers{}, 0
	for _, n := range readNotes(t, path) {
		switch h := (handOver{n.Replica, int(n.Token)}); n.Event {
		case noteHanded:
			told[h] = false
		case noteTook:
			told[h] = true
			taken++
		}
	}
	t.Logf("%d of %d batches are noted as taken", taken, len(told))
	return told
}
