package storage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

const childVariable = "TAKT_STORAGE_CHILD"

// child is a process that claims ticks in a SQLite file, as fast as it can,
// and notes what it is told.
type child struct {
	Name, Path, Notes string
	// Appends tells that it appends to the history instead.
	Appends bool
	Jobs    int
	Lease   time.Duration
	// Room is by how much the file may grow before it meets a limit, until a
	// call has failed; zero for no limit. The log beside it is larger.
	Room int64
}

// note is a line that a child wrote and synced. It is written when the ledger
// has answered.
type note struct {
	Event, Replica, Run string
	Token               domain.ClaimToken
}

// Events of notes.
const (
	noteGranted  = "granted"
	noteTaken    = "taken"
	noteFinished = "finished"
	noteFull     = "full"
	// Those of who appends, about the batch whose number is the token.
	noteHanded = "handed"
	noteTook   = "took"
)

// playChild plays the part of a child until it is killed or its parent ends.
func playChild(text string) error {
	var c child
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	notes, err := os.OpenFile(c.Notes, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	db, err := storage.Open(context.Background(), storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: c.Path}})
	if err != nil {
		return err
	}
	w := childWork{child: c, notes: notes, ledger: db.Ledger(""), cursors: map[string]time.Time{}}
	if c.Appends {
		return w.appendAll(db.RunStore(""))
	}
	if err := w.begin(); err != nil {
		return err
	}
	for {
		if err := w.step(); err != nil {
			return err
		}
	}
}

type childWork struct {
	child

	notes   *os.File
	ledger  *storage.Ledger
	cursors map[string]time.Time
	limited bool
}

func (w *childWork) begin() error {
	reply, err := w.ledger.Sync(context.Background(), domain.SyncRequest{Replica: w.Name, Definitions: manyDefinitions(w.Jobs)})
	if err != nil {
		return err
	}
	for _, state := range reply.Jobs {
		w.cursors[state.Job] = state.Cursor
	}
	return w.cramp()
}

// cramp limits the file, if the child is to meet a limit.
func (w *childWork) cramp() error {
	if w.Room == 0 {
		return nil
	}
	w.limited = true
	return limitFiles(w.Path, w.Room)
}

// limitFiles keeps files from growing by more than room beyond the database's.
func limitFiles(path string, room int64) error {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	largest := int64(0)
	for _, suffix := range []string{"", "-shm"} {
		if info, err := os.Stat(path + suffix); err == nil {
			largest = max(largest, info.Size())
		}
	}
	limit.Cur = uint64(largest + room)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

// step claims and ends the next tick of each job, and whatever was left behind.
func (w *childWork) step() error {
	var intents []domain.Intent
	for job, from := range w.cursors {
		to := from.Add(time.Second)
		intents = append(intents, domain.Intent{
			Run: domain.TickKey(job, to), Replica: w.Name, Fingerprint: "v1", Slot: domain.SlotSkip,
			Move: &domain.CursorMove{From: from, To: to}, Lease: w.Lease,
		})
	}
	verdicts, err := w.ledger.Claim(context.Background(), intents)
	if err != nil {
		return w.full(err)
	}
	var claims []domain.Claim
	for i, v := range verdicts {
		w.cursors[intents[i].Run.Job] = v.Cursor
		if v.Kind == domain.Granted {
			claims = append(claims, v.Claim)
		}
	}
	if err := w.note(noteGranted, claims); err != nil {
		return err
	}
	if err := w.end(claims); err != nil {
		return err
	}
	taken, err := w.ledger.Abandoned(context.Background(), w.Name, w.Lease, 10)
	if err != nil {
		return w.full(err)
	}
	if err := w.note(noteTaken, taken); err != nil {
		return err
	}
	return w.end(taken)
}

// full notes that the disk is full, and makes room.
func (w *childWork) full(err error) error {
	if !w.limited {
		return err
	}
	if err := limitFiles(w.Path, 1<<40); err != nil {
		return err
	}
	w.limited = false
	return w.note(noteFull, []domain.Claim{{}})
}

func (w *childWork) end(claims []domain.Claim) error {
	results := make([]domain.RunResult, len(claims))
	for i := range claims {
		results[i] = domain.RunResult{Claim: claims[i].Ref(), End: domain.EndFinished}
	}
	held, err := w.ledger.Finish(context.Background(), results)
	for err != nil {
		if err := w.full(err); err != nil {
			return err
		}
		held, err = w.ledger.Finish(context.Background(), results)
	}
	var ended []domain.Claim
	for i := range held {
		if held[i] {
			ended = append(ended, claims[i])
		}
	}
	return w.note(noteFinished, ended)
}

// note writes and syncs the notes in one piece.
func (w *childWork) note(event string, claims []domain.Claim) error {
	if len(claims) == 0 {
		return nil
	}
	var lines strings.Builder
	for _, c := range claims {
		fmt.Fprintf(&lines, "%s %s %s %d\n", event, w.Name, c.Run, c.Token)
	}
	if _, err := w.notes.WriteString(lines.String()); err != nil {
		return err
	}
	return w.notes.Sync()
}

// launch starts the child; kill ends it as kill -9 does.
func (c child) launch(t *testing.T) (kill func()) {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0]) //nolint:noctx // ended by kill
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	var log strings.Builder
	cmd.Stderr, cmd.Stdout = &log, &log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = stdin.Close()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
			t.Errorf("%s ended by itself: %s", c.Name, log.String())
		}
	}
}

// readNotes returns all notes of the children.
func readNotes(t *testing.T, path string) []note {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var notes []note
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		var n note
		if _, err := fmt.Sscanf(line, "%s %s %s %d\n", &n.Event, &n.Replica, &n.Run, &n.Token); err != nil {
			t.Fatalf("note %q: %v", line, err)
		}
		notes = append(notes, n)
	}
	return notes
}
