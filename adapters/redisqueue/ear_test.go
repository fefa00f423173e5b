package redisqueue_test

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
)

// hush is a server in virtual time that knows two commands: the wait for a
// marker, and the call behind it.
type hush struct {
	// ends says what becomes of the n-th wait, counted from 0, which is to last
	// so long. If it is nil, the server wants a password.
	ends func(n int, lasts time.Duration) waitEnd
	// call is the reply to the call behind a wait, an empty list if it is empty.
	call string

	mu sync.Mutex
	// begun are when the waits were asked for.
	begun   []time.Time
	putBack atomic.Int32 // markers
}

// waitEnd is how a wait ends, after a while.
type waitEnd struct {
	after time.Duration
	how   ending
}

type ending int

const (
	runsOut ending = iota // nothing came
	hears                 // the marker came
	breaks                // the connection does
	silent                // nothing is answered any more
)

// refusal is what a server says that wants a password.
const refusal = "-NOAUTH Authentication required.\r\n"

// listenTo returns an ear of the server's.
func (h *hush) listenTo(t *testing.T) redisqueue.Ear {
	t.Helper()
	var serving sync.WaitGroup
	e := redisqueue.NewEar(func() net.Conn {
		theirs, ours := net.Pipe()
		serving.Go(func() { h.serve(ours) })
		return theirs
	})
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close = %v, want no error", err)
		}
		serving.Wait()
	})
	return e
}

func (h *hush) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // the client may have closed it
	reader := bufio.NewReader(conn)
	for {
		words, err := readCommand(reader)
		if err != nil {
			return
		}
		reply := "+OK\r\n"
		switch {
		case h.ends == nil:
			reply = refusal
		case words[0] == "hello":
			reply = "-ERR unknown command\r\n"
		case words[0] == "bzpopmin":
			end := h.nextEnd(words[2])
			time.Sleep(end.after)
			reply = "*-1\r\n"
			switch end.how {
			case breaks:
				return
			case silent:
				_, _ = io.Copy(io.Discard, reader)
				return
			case hears:
				reply = "*3\r\n$6\r\nmarker\r\n$1\r\n0\r\n$1\r\n0\r\n"
			case runsOut:
			}
		case words[0] == "evalsha":
			reply = cmp.Or(h.call, "*0\r\n")
		case words[0] == "zadd":
			h.putBack.Add(1)
			reply = ":1\r\n"
		}
		if _, err := io.WriteString(conn, reply); err != nil {
			return
		}
	}
}

func (h *hush) nextEnd(seconds string) waitEnd {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begun = append(h.begun, time.Now())
	lasts, _ := time.ParseDuration(seconds + "s")
	return h.ends(len(h.begun)-1, lasts)
}

// readCommand returns the words of the next command.
func readCommand(r *bufio.Reader) ([]string, error) {
	count, err := readSize(r, "*")
	if err != nil {
		return nil, err
	}
	words := make([]string, count)
	for i := range words {
		size, err := readSize(r, "$")
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, err
		}
		words[i] = string(word[:size])
	}
	return words, nil
}

func readSize(r *bufio.Reader, kind string) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), kind))
}

// listened listens, and returns how long that took.
func listened(ctx context.Context, e redisqueue.Ear, due time.Duration) (took time.Duration, answered bool) {
	began := time.Now()
	answered = e.Listen(ctx, due)
	return time.Since(began), answered
}

func TestABrokenWaitIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hush{ends: func(int, time.Duration) waitEnd { return waitEnd{after: 300 * time.Millisecond, how: breaks} }}
		e := h.listenTo(t)
		if took, answered := listened(t.Context(), e, 0); answered || took != 300*time.Millisecond {
			t.Errorf("listen = %t after %s, want false as soon as the connection breaks", answered, took)
		}
	})
}

func TestABrokenWaitIsToldToWhoeverListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hush{ends: func(int, time.Duration) waitEnd { return waitEnd{after: 300 * time.Millisecond, how: breaks} }}
		e := h.listenTo(t)
		soon, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer leave()
		e.Listen(soon, 0)
		if took, answered := listened(t.Context(), e, 0); answered || took != 200*time.Millisecond {
			t.Errorf("listen = %t after %s, want false as soon as the wait that somebody else began breaks", answered, took)
		}
	})
}

// TestARefusedConnectionIsNoAnswer has a server whose refusal the library does
// not tell the commands of that it could not send.
func TestARefusedConnectionIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hush{}
		e := h.listenTo(t)
		if took, answered := listened(t.Context(), e, 0); answered || took != 0 {
			t.Errorf("listen = %t after %s, want false at once", answered, took)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		e.Listen(gone, 0)
		time.Sleep(time.Second) // nobody is left to be told
	})
}

// overtaken is the reply to a call whose listener has gone on meanwhile.
const overtaken = "-OVERTAKEN call 1 comes after call 2\r\n"

func TestAWaitWhoseCallIsRefusedWasAnswered(t *testing.T) {
	for name, how := range map[string]ending{"nothing came": runsOut, "the marker came": hears} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hush{call: overtaken, ends: func(int, time.Duration) waitEnd { return waitEnd{how: how} }}
				e := h.listenTo(t)
				for range 2 {
					if e.Listen(t.Context(), 0) {
						t.Error("listen = true, want false: the call was refused")
					}
				}
				if paused := h.begun[1].Sub(h.begun[0]); paused != 0 {
					t.Errorf("the next wait began after %s, want it at once", paused)
				}
				if reason := e.Away(); reason != nil {
					t.Errorf("away: %v, want all well: the server has answered", reason)
				}
			})
		})
	}
}

func TestAMarkerThatNobodyWaitsForIsPutBack(t *testing.T) {
	for name, call := range map[string]string{"with the call carried out": "", "with the call refused": overtaken} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hush{call: call, ends: func(int, time.Duration) waitEnd { return waitEnd{after: time.Second, how: hears} }}
				e := h.listenTo(t)
				soon, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer leave()
				e.Listen(soon, 0)
				time.Sleep(2 * time.Second)
				if times := h.putBack.Load(); times != 1 {
					t.Errorf("put back %d times, want once", times)
				}
			})
		})
	}
}

func TestWaitsThatBreakFollowEachOtherAtGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const healthy = 8
		h := hush{ends: func(n int, _ time.Duration) waitEnd {
			if n == healthy {
				return waitEnd{how: runsOut}
			}
			return waitEnd{how: breaks}
		}}
		e := h.listenTo(t)
		for range healthy + 3 {
			e.Listen(t.Context(), 0)
		}
		ms := time.Millisecond
		pauses := []time.Duration{20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second, 0, 20 * ms}
		for n, want := range pauses {
			if got := h.begun[n+1].Sub(h.begun[n]); got != want {
				t.Errorf("%s between the waits %d and %d, want %s", got, n, n+1, want)
			}
		}
	})
}

// TestALateAnswerIsWaitedFor has the server notice late that a wait is over, and
// the machine be busy.
func TestALateAnswerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const late = 250 * time.Millisecond
		h := hush{ends: func(_ int, lasts time.Duration) waitEnd { return waitEnd{after: lasts + late, how: runsOut} }}
		e := h.listenTo(t)
		if took, answered := listened(t.Context(), e, 0); !answered || took < 1900*time.Millisecond {
			t.Errorf("listen = %t after %s, want true after nearly two seconds: waits that are shorter are more", answered, took)
		}
	})
}

func TestAJobThatIsDueIsNotWaitedForLonger(t *testing.T) {
	for name, due := range map[string]time.Duration{
		"soon": 300 * time.Millisecond, "in nearly as long as a wait": 1900 * time.Millisecond, "much later": time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hush{ends: func(int, time.Duration) waitEnd { return waitEnd{how: silent} }}
				e := h.listenTo(t)
				want := min(due, 2*time.Second) + 20*time.Millisecond
				if took, answered := listened(t.Context(), e, due); answered || took != want {
					t.Errorf("listen = %t after %s, want false after %s", answered, took, want)
				}
			})
		})
	}
}

// TestADeadConnectionHoldsUpNobody has the one that is told of its end be told
// as early as the client notices.
func TestADeadConnectionHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hush{ends: func(int, time.Duration) waitEnd { return waitEnd{how: silent} }}
		e := h.listenTo(t)
		const patience = 2020 * time.Millisecond
		for _, want := range []time.Duration{patience, patience, 5*time.Second - 2*patience} {
			if took, answered := listened(t.Context(), e, 0); answered || took != want {
				t.Errorf("listen = %t after %s, want false after %s", answered, took, want)
			}
		}
	})
}
