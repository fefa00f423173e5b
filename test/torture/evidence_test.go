package torture_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// instant is a moment on the clock that all processes of the machine share,
// in ns since it started.
func instant() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	return now.Nano()
}

// mark is the kind of an effect.
type mark string

const (
	began     mark = "B"
	ended     mark = "E"
	cancelled mark = "C"
)

// effect is a line that a handler wrote.
type effect struct {
	Mark mark
	PID  int
	ID   string
	// Key names the piece of work, as its producer did.
	Key string
	// Started is how often the job was begun, as the queue counts.
	Started int
	At      int64
}

func (e effect) line() string {
	return fmt.Sprintf("%s %d %s %s %d %d\n", e.Mark, e.PID, e.ID, e.Key, e.Started, e.At)
}

func parseEffect(line string) (effect, error) {
	fields := strings.Fields(line)
	if len(fields) != 6 {
		return effect{}, fmt.Errorf("effect %q has %d fields, want 6", line, len(fields))
	}
	pid, err1 := strconv.Atoi(fields[1])
	started, err2 := strconv.Atoi(fields[4])
	at, err3 := strconv.ParseInt(fields[5], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return effect{}, fmt.Errorf("effect %q: not numbers", line)
	}
	return effect{Mark: mark(fields[0]), PID: pid, ID: fields[2], Key: fields[3], Started: started, At: at}, nil
}

// blow is a fault that the injector caused.
type blow struct {
	Kind blowKind
	// PID is that of the process hit.
	PID int
	// From is before the blow, Until after its direct effect was over.
	From, Until int64
}

type blowKind string

const (
	killedWorker   blowKind = "kill-worker"
	killedProducer blowKind = "kill-producer"
	// pausedWorker is a worker stopped from From to Until.
	pausedWorker blowKind = "pause-worker"
	// serverAway is a server that was killed, or kept from answering, for so
	// long that leases may have run out.
	serverAway blowKind = "server-away"
	// stalledServer and stalledWorker came to nothing for a while, by no doing
	// of the injector's: the machine was busy.
	stalledServer blowKind = "stall-server"
	stalledWorker blowKind = "stall-worker"
)

func (b blow) line() string { return fmt.Sprintf("%s %d %d %d\n", b.Kind, b.PID, b.From, b.Until) }

func parseBlow(line string) (blow, error) {
	var b blow
	if n, err := fmt.Sscanf(line, "%s %d %d %d", &b.Kind, &b.PID, &b.From, &b.Until); n != 4 {
		return blow{}, fmt.Errorf("blow %q: %w", line, err)
	}
	return b, nil
}

// accepted is a job that a producer was told is on the queue.
type accepted struct{ ID, Key string }

// evidence is all that is known of a run.
type evidence struct {
	accepted []accepted
	effects  []effect
	blows    []blow
	contents contents
}

// desk is the directory in which a run's records are kept.
type desk struct{ dir string }

func newDesk(t testing.TB) desk { return desk{dir: t.TempDir()} }

func (d desk) effects() string { return filepath.Join(d.dir, "effects") }
func (d desk) blows() string   { return filepath.Join(d.dir, "blows") }

// acceptedBy is the file of one producer.
func (d desk) acceptedBy(name string) string { return filepath.Join(d.dir, "accepted-"+name) }

// note appends the blow to the injector's log.
func (d desk) note(t testing.TB, b blow) {
	t.Helper()
	if err := appendTo(d.blows(), b.line()); err != nil {
		t.Fatal(err)
	}
}

func appendTo(file, line string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // written below
	_, err = f.WriteString(line)
	return err
}

// gather reads all records; those of the queue are given.
func (d desk) gather(t testing.TB, c contents) evidence {
	t.Helper()
	e := evidence{contents: c}
	files, err := filepath.Glob(d.acceptedBy("*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, line := range wholeLines(t, file) {
			id, key, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			e.accepted = append(e.accepted, accepted{ID: id, Key: key})
		}
	}
	for _, line := range wholeLines(t, d.effects()) {
		seen, err := parseEffect(line)
		if err != nil {
			t.Fatal(err)
		}
		e.effects = append(e.effects, seen)
	}
	for _, line := range wholeLines(t, d.blows()) {
		hit, err := parseBlow(line)
		if err != nil {
			t.Fatal(err)
		}
		e.blows = append(e.blows, hit)
	}
	return e
}

// wholeLines returns the lines of a file. What a killed writer left of its
// last line is no record.
func wholeLines(t testing.TB, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	return slices.Collect(strings.Lines(string(text[:whole])))
}
