package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/control"
)

func handlers(method string, handler control.Handler) map[string]control.Handler {
	return map[string]control.Handler{"echo": echo, method: handler}
}

func fails(err error) control.Handler {
	return func(context.Context, json.RawMessage) (any, error) { return nil, err }
}

func TestACallCarriesParamsAndResult(t *testing.T) {
	r := start(t, config(stateDir(t), "a"))
	type data struct {
		Text string
		List []int
	}
	want := data{Text: "<a> & \"b\"\n\u2028 ü", List: []int{1, 2}}
	var got data
	must(t, r.Call(t.Context(), "echo", want, &got))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("echo (-want +got):\n%s", diff)
	}
	var none map[string]any
	must(t, r.Call(t.Context(), "echo", none, &none))
	if none != nil {
		t.Errorf("echo of nothing = %v, want nil", none)
	}
}

func TestTheLargestPayloadPasses(t *testing.T) {
	r := start(t, config(stateDir(t), "a"))
	want := map[string]string{"data": strings.Repeat("<", 5<<20)}
	var got map[string]string
	must(t, r.Call(t.Context(), "echo", want, &got))
	if len(got["data"]) != 5<<20 {
		t.Errorf("echo = %d bytes, want %d", len(got["data"]), 5<<20)
	}
	err := r.Call(t.Context(), "echo", map[string]string{"data": strings.Repeat("x", control.MaxRequest)}, nil)
	if control.CodeOf(err) != control.CodeBadData {
		t.Errorf("Call() over the limit = %v, want bad data", err)
	}
}

func TestErrorRepliesCarryTheHandlersCode(t *testing.T) {
	cause := errors.New("no such job: report")
	for _, code := range []control.Code{control.CodeUsage, control.CodeBadData, control.CodeUnavailable, control.CodeInternal} {
		t.Run(string(code), func(t *testing.T) {
			c := config(stateDir(t), "a")
			c.Handlers = handlers("fail", fails(fmt.Errorf("trigger: %w", control.WithCode(code, cause))))
			wantRemote(t, start(t, c).Call(t.Context(), "fail", nil, nil), code, "trigger: no such job: report")
		})
	}
	for name, handler := range map[string]control.Handler{
		"unmarked":      fails(cause),
		"unknown code":  fails(control.WithCode("odd", cause)),
		"no JSON value": func(context.Context, json.RawMessage) (any, error) { return math.NaN(), nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := config(stateDir(t), "a")
			c.Handlers = handlers("fail", handler)
			wantRemote(t, start(t, c).Call(t.Context(), "fail", nil, nil), control.CodeInternal, "")
		})
	}
	if control.WithCode(control.CodeUsage, nil) != nil || control.CodeOf(nil) != "" {
		t.Error("a nil error got a code, want none")
	}
	if marked := control.WithCode(control.CodeUsage, cause); !errors.Is(marked, cause) {
		t.Errorf("WithCode() = %v, want it to wrap its cause", marked)
	}
}

func TestAnUnknownMethodNamesTheKnown(t *testing.T) {
	r := start(t, config(stateDir(t), "a"))
	err := r.Call(t.Context(), "nope\x1b[2J", nil, nil)
	wantRemote(t, err, control.CodeUsage, `unknown method "nope\x1b[2J": this worker knows echo`)
}

func TestAPanicIsAReplyAndALogLine(t *testing.T) {
	log, text := logger()
	c := config(stateDir(t), "a")
	c.Logger = log
	c.Handlers = handlers("boom", func(context.Context, json.RawMessage) (any, error) { panic("secret detail") })
	r := start(t, c)
	err := r.Call(t.Context(), "boom", nil, nil)
	wantRemote(t, err, control.CodeInternal, "boom: the handler panicked")
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("Call() = %v, want the panic's value in the log alone", err)
	}
	must(t, r.Call(t.Context(), "echo", nil, nil))
	must(t, r.Close(t.Context()))
	if got := text.String(); !strings.Contains(got, "method=boom") || !strings.Contains(got, "server_test.go") {
		t.Errorf("log = %s, want the method and the stack", got)
	}
}

func TestTheHandlersContextEndsWhenTheClientGoesAway(t *testing.T) {
	ended := make(chan error, 1)
	entered := make(chan struct{}, 1)
	c := config(stateDir(t), "a")
	c.ReadTimeout = 500 * time.Millisecond // a busy machine may take a while from accepting a client to its request
	c.Handlers = handlers("trigger", func(ctx context.Context, _ json.RawMessage) (any, error) {
		entered <- struct{}{}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil, ctx.Err()
	})
	r := start(t, c)

	ctx, cancel := context.WithCancel(t.Context())
	called := make(chan error, 1)
	go func() { called <- r.Call(ctx, "trigger", nil, nil) }()
	soon(t, entered)
	<-time.After(c.ReadTimeout + 100*time.Millisecond) // the time for the request has nothing to do with it any more
	cancel()
	if err := <-called; !errors.Is(err, context.Canceled) || control.CodeOf(err) != control.CodeUnavailable {
		t.Errorf("Call() = %v, want canceled", err)
	}
	if err := soon(t, ended); err == nil || !strings.Contains(err.Error(), "client went away") {
		t.Errorf("cause in the handler = %v, want that the client went away", err)
	}

	conn := dial(t, r.Path())
	_, err := conn.Write([]byte(`{"method":"trigger"}` + "\n"))
	must(t, err)
	soon(t, entered)
	must(t, conn.CloseWrite())
	if err := soon(t, ended); err == nil {
		t.Error("cause in the handler after a half close = nil, want that the client went away")
	}
}

func TestAReplyMayTakeLongerThanEveryTimeout(t *testing.T) {
	c := config(stateDir(t), "a")
	c.ReadTimeout, c.WriteTimeout = 500*time.Millisecond, 500*time.Millisecond
	c.Handlers = handlers("trigger", func(ctx context.Context, _ json.RawMessage) (any, error) {
		select {
		case <-time.After(600 * time.Millisecond):
			return "done", nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	var got string
	must(t, start(t, c).Call(t.Context(), "trigger", nil, &got))
	if got != "done" {
		t.Errorf("result = %q, want done", got)
	}
}

func TestCloseEndsHandlersAndTellsTheirClients(t *testing.T) {
	entered := make(chan struct{})
	var returned atomic.Bool
	c := config(stateDir(t), "a")
	c.ReadTimeout = time.Minute
	c.Handlers = handlers("trigger", func(ctx context.Context, _ json.RawMessage) (any, error) {
		close(entered)
		<-ctx.Done()
		<-time.After(20 * time.Millisecond)
		returned.Store(true)
		return nil, ctx.Err()
	})
	r := start(t, c)
	// Connections are taken in order: this one is being read once the next one's handler runs.
	reading := dial(t, r.Path())
	_, err := reading.Write([]byte(`{"met`))
	must(t, err)
	called := make(chan error, 1)
	go func() { called <- r.Call(t.Context(), "trigger", nil, nil) }()
	soon(t, entered)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	must(t, r.Close(ctx))
	if !returned.Load() {
		t.Error("Close() returned before the handler, want it to wait")
	}
	if got := readReply(t, reading); !strings.Contains(got, `"unavailable"`) || !strings.Contains(got, "stopping") {
		t.Errorf("reply to half a request = %s, want that the worker is stopping", got)
	}
	wantRemote(t, <-called, control.CodeUnavailable, "stopping")
	must(t, r.Close(t.Context()))
	if err := r.Call(t.Context(), "echo", nil, nil); !errors.Is(err, control.ErrNoWorker) {
		t.Errorf("Call() after Close = %v, want ErrNoWorker", err)
	}
}

func TestCloseGivesUpWaitingWithItsContext(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	c := config(stateDir(t), "a")
	c.Handlers = handlers("stuck", func(context.Context, json.RawMessage) (any, error) {
		close(entered)
		<-release
		return "late", nil
	})
	r := start(t, c)
	called := make(chan error, 1)
	go func() { called <- r.Call(t.Context(), "stuck", nil, nil) }()
	soon(t, entered)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close() = %v, want canceled", err)
	}
	if exists(r.Path()) {
		t.Error("the socket stays, want it removed")
	}
	close(release)
	must(t, r.Close(t.Context()))
	must(t, <-called)
}

func TestServeEndsWithItsContextAndServesOnce(t *testing.T) {
	server, err := control.Listen(config(stateDir(t), "a"))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	instance := control.Instance{Socket: server.Path()}
	must(t, instance.Call(t.Context(), "echo", nil, nil))
	if err := server.Serve(ctx); err == nil || errors.Is(err, control.ErrClosed) {
		t.Errorf("second Serve() = %v, want an error of its own", err)
	}
	cancel()
	must(t, <-served)
	must(t, server.Close(t.Context()))
	if err := server.Serve(t.Context()); !errors.Is(err, control.ErrClosed) {
		t.Errorf("Serve() after Close = %v, want ErrClosed", err)
	}
}

func TestRepeatedAcceptErrorsAreSpacedUpToASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pause control.Backoff
		var got []time.Duration
		for range 10 {
			start := time.Now()
			pause.Wait(t.Context())
			got = append(got, time.Since(start))
		}
		const ms = time.Millisecond
		want := []time.Duration{5 * ms, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, 1000 * ms, 1000 * ms}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		pause.Wait(ctx)
		if took := time.Since(start); took != 0 {
			t.Errorf("pause with an ended context = %v, want 0", took)
		}
	})
}

func TestCloseWithoutServeFreesTheName(t *testing.T) {
	dir := stateDir(t)
	server, err := control.Listen(config(dir, "a"))
	must(t, err)
	must(t, server.Close(t.Context()))
	start(t, config(dir, "a"))
}

func TestOneMethodCannotTakeEveryConnection(t *testing.T) {
	var inside atomic.Int32
	entered := make(chan struct{}, control.MaxConns)
	c := config(stateDir(t), "a")
	c.Handlers = handlers("trigger", func(ctx context.Context, _ json.RawMessage) (any, error) {
		inside.Add(1)
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	r := start(t, c)
	for range control.MaxPerMethod {
		_, err := dial(t, r.Path()).Write([]byte(`{"method":"trigger"}` + "\n"))
		must(t, err)
		<-entered
	}
	wantRemote(t, r.Call(t.Context(), "trigger", nil, nil), control.CodeUnavailable, "busy: 8 requests of trigger")
	must(t, r.Call(t.Context(), "echo", nil, nil))
	if got := inside.Load(); got != control.MaxPerMethod {
		t.Errorf("handlers entered = %d, want %d", got, control.MaxPerMethod)
	}
}
