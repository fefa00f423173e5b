package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taktwork/takt/app/control"
)

func TestAMalformedRequestGetsAReplyThatSaysWhy(t *testing.T) {
	r := start(t, config(stateDir(t), "a"))
	for text, want := range map[string]string{
		"\n":                               "not one JSON text",
		"GET / HTTP/1.1\r\n":               "not one JSON text",
		`{"method":"echo","x":1}` + "\n":   "unknown field",
		`{"method":"echo"}` + "\n{":        "data after the line",
		strings.Repeat("x", 10<<20) + "\n": "longer than 6291456 bytes",
	} {
		got := ask(t, r.Path(), text)
		if !strings.Contains(got, want) || !strings.Contains(got, `"bad_data"`) {
			t.Errorf("reply to %.20q = %s, want bad data with %q", text, got, want)
		}
	}
	conn := dial(t, r.Path())
	_, err := conn.Write([]byte(`{"method":"echo"}`))
	must(t, err)
	must(t, conn.CloseWrite())
	if got := readReply(t, conn); !strings.Contains(got, "no end") {
		t.Errorf("reply to half a line = %s, want that it has no end", got)
	}
	must(t, dial(t, r.Path()).Close())
	must(t, r.Call(t.Context(), "echo", nil, nil))
}

func TestAnEndlessLineIsCutOffAtTheLimit(t *testing.T) {
	r := start(t, config(stateDir(t), "a"))
	conn := dial(t, r.Path())
	chunk := bytes.Repeat([]byte("x"), 1<<16)
	sent := 0
	for {
		n, err := conn.Write(chunk)
		sent += n
		if err != nil {
			break
		}
		if sent > 2*control.MaxRequest {
			t.Fatalf("the server took %d bytes, want it to hang up", sent)
		}
	}
	must(t, r.Call(t.Context(), "echo", nil, nil))
}

func TestAClientThatDripsBytesIsCutOff(t *testing.T) {
	c := config(stateDir(t), "a")
	c.ReadTimeout = 100 * time.Millisecond
	r := start(t, c)
	conn := dial(t, r.Path())
	dripped := make(chan struct{})
	go func() {
		defer close(dripped)
		ticks := time.NewTicker(10 * time.Millisecond)
		defer ticks.Stop()
		for range ticks.C {
			if _, err := conn.Write([]byte(" ")); err != nil {
				return
			}
		}
	}()
	if got := readReply(t, conn); !strings.Contains(got, "did not arrive in time") {
		t.Errorf("reply = %s, want that the request did not arrive in time", got)
	}
	<-dripped
}

func TestAClientThatNeverReadsIsCutOff(t *testing.T) {
	c := config(stateDir(t), "a")
	c.WriteTimeout = 50 * time.Millisecond
	c.Handlers = handlers("large", func(context.Context, json.RawMessage) (any, error) {
		return strings.Repeat("x", 8<<20), nil
	})
	r := start(t, c)
	conn := dial(t, r.Path())
	_, err := conn.Write([]byte(`{"method":"large"}` + "\n"))
	must(t, err)
	// Close waits for the connection; it can only return once the write was given up.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	must(t, r.Call(ctx, "echo", nil, nil))
	must(t, r.Close(ctx))
}

func TestMoreConnectionsThanThereArePlacesAreToldSo(t *testing.T) {
	c := config(stateDir(t), "a")
	c.ReadTimeout = time.Minute
	r := start(t, c)
	var idle []*net.UnixConn
	for range control.MaxConns {
		idle = append(idle, dial(t, r.Path()))
	}
	wantRemote(t, r.Call(t.Context(), "echo", nil, nil), control.CodeUnavailable, "busy: 16 connections")
	for _, conn := range idle {
		must(t, conn.Close())
	}
	for {
		err := r.Call(t.Context(), "echo", nil, nil)
		if err == nil {
			return
		}
		wantRemote(t, err, control.CodeUnavailable, "busy")
		runtime.Gosched()
	}
}

func TestTenThousandConnectionsLeaveTheWorkerAlive(t *testing.T) {
	r := start(t, config(stateDir(t), "a"))
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			for range 500 {
				conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: r.Path(), Net: "unix"})
				if errors.Is(err, syscall.EAGAIN) {
					continue
				}
				if err != nil {
					t.Errorf("dial = %v, want nil", err)
					return
				}
				_ = conn.Close()
			}
		})
	}
	clients.Wait()
	for {
		err := r.Call(t.Context(), "echo", nil, nil)
		if err == nil {
			return
		}
		wantRemote(t, err, control.CodeUnavailable, "busy")
	}
}

func TestAPeerOfAnotherUserIsRefused(t *testing.T) {
	for name, peer := range map[string]func(*net.UnixConn) (int, error){
		"other uid":  func(*net.UnixConn) (int, error) { return os.Geteuid() + 1, nil },
		"no answer":  func(*net.UnixConn) (int, error) { return 0, errors.New("no credentials") },
		"overflowed": func(*net.UnixConn) (int, error) { return 65534, nil },
	} {
		t.Run(name, func(t *testing.T) {
			log, text := logger()
			c := config(stateDir(t), "a")
			c.PeerUID, c.Logger = peer, log
			r := start(t, c)
			wantRemote(t, r.Call(t.Context(), "echo", nil, nil), control.CodeUnavailable, "its own user and root")
			must(t, r.Close(t.Context()))
			if !strings.Contains(text.String(), "control peer refused") {
				t.Errorf("log = %s, want the refusal", text)
			}
		})
	}
}

func TestWhoMayAskAndWhoIsTrusted(t *testing.T) {
	for _, c := range []struct {
		self, peer       int
		allowed, trusted bool
	}{
		{1000, 1000, true, true},
		{1000, 1001, false, false},
		{1000, 0, true, true},
		{0, 0, true, true},
		{0, 1000, false, true},
	} {
		if got := control.ClientAllowed(c.self, c.peer); got != c.allowed {
			t.Errorf("clientAllowed(%d, %d) = %t, want %t", c.self, c.peer, got, c.allowed)
		}
		if got := control.ServerTrusted(c.self, c.peer); got != c.trusted {
			t.Errorf("serverTrusted(%d, %d) = %t, want %t", c.self, c.peer, got, c.trusted)
		}
	}
}

func TestTheKernelNamesThePeer(t *testing.T) {
	path := stateDir(t) + "/s"
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	defer listener.Close() //nolint:errcheck // a test's end
	conn := dial(t, path)
	if uid, err := control.PeerUID(conn); err != nil || uid != os.Geteuid() {
		t.Errorf("PeerUID() = %d, %v, want %d", uid, err, os.Geteuid())
	}
	must(t, conn.Close())
	if _, err := control.PeerUID(conn); err == nil {
		t.Error("PeerUID() of a closed connection = nil, want an error")
	}
}

// impostor answers every connection with the same text.
func impostor(t *testing.T, answer string) control.Instance {
	t.Helper()
	path := stateDir(t) + "/s"
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return control.Instance{Name: "s", Socket: path}
}

func TestTheClientReportsRepliesThatAreNone(t *testing.T) {
	cases := map[string]struct {
		answer string
		want   error
		code   control.Code
	}{
		"nothing":        {"", control.ErrNoReply, control.CodeUnavailable},
		"half a line":    {`{"result":1`, control.ErrNoReply, control.CodeUnavailable},
		"no JSON":        {"hello\n", nil, control.CodeInternal},
		"no result":      {"{}\n", nil, control.CodeInternal},
		"another result": {`{"result":"x"}` + "\n", nil, control.CodeInternal},
		"unknown code":   {`{"error":{"code":"teapot","message":"m"}}` + "\n", nil, control.CodeInternal},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var result int
			err := impostor(t, c.answer).Call(t.Context(), "health", nil, &result)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || control.CodeOf(err) != c.code {
				t.Errorf("Call() = %v (code %q), want code %q", err, control.CodeOf(err), c.code)
			}
		})
	}
}

func TestTheClientWaitsNoLongerThanItsContext(t *testing.T) {
	path := stateDir(t) + "/s"
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	defer listener.Close() //nolint:errcheck // a test's end
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := (control.Instance{Socket: path}).Call(ctx, "health", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Call() = %v, want deadline exceeded", err)
	}
	if err := (control.Instance{Socket: path}).Call(ctx, "health", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Call() with an ended context = %v, want deadline exceeded", err)
	}
}

func TestTheClientWaitsWhileTheKernelsQueueIsFull(t *testing.T) {
	path := stateDir(t) + "/s"
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	must(t, err)
	defer syscall.Close(fd) //nolint:errcheck // a test's end
	must(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}))
	must(t, syscall.Listen(fd, 0))
	dial(t, path) // fills the queue
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := (control.Instance{Socket: path}).Call(ctx, "health", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Call() = %v, want deadline exceeded", err)
	}
}

func TestTheClientRefusesParamsThatAreNoJSON(t *testing.T) {
	err := (control.Instance{Socket: "/nowhere"}).Call(t.Context(), "health", make(chan int), nil)
	if control.CodeOf(err) != control.CodeBadData {
		t.Errorf("Call() = %v, want bad data", err)
	}
	err = (control.Instance{Socket: "/nowhere"}).Call(t.Context(), "health", nil, nil)
	if !errors.Is(err, control.ErrNoWorker) {
		t.Errorf("Call() of a missing socket = %v, want ErrNoWorker", err)
	}
	file := stateDir(t) + "/file"
	must(t, os.WriteFile(file, nil, 0o600))
	if err := (control.Instance{Socket: file}).Call(t.Context(), "health", nil, nil); err == nil {
		t.Error("Call() of a regular file = nil, want an error")
	}
}
