package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

var errClientGone = errors.New("the client went away")

// converse reads one request and writes one reply.
func (s *Server) converse(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close() //nolint:errcheck // nothing is left to tell the client
	_ = conn.SetReadDeadline(time.Now().Add(s.config.ReadTimeout))
	defer context.AfterFunc(ctx, func() { wake(conn) })()

	line, err := readLine(conn, maxRequest)
	if err != nil {
		s.reply(ctx, conn, nil, readError(ctx, err))
		return
	}
	method, params, err := decodeRequest(line)
	if err != nil {
		s.reply(ctx, conn, nil, err)
		return
	}
	result, err := s.dispatch(ctx, conn, method, params)
	s.reply(ctx, conn, result, err)
}

func readError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return stopping()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refusal(CodeBadData, "request: it did not arrive in time")
	}
	return refusal(CodeBadData, "request: %w", err)
}

func stopping() error { return refusal(CodeUnavailable, "the worker is stopping") }

func (s *Server) dispatch(ctx context.Context, conn *net.UnixConn, method string, params json.RawMessage) (any, error) {
	handler, ok := s.config.Handlers[method]
	if !ok {
		methods := slices.Sorted(maps.Keys(s.config.Handlers))
		return nil, refusal(CodeUsage, "unknown method %.64q: this worker knows %s", method, strings.Join(methods, ", "))
	}
	slot := s.busy[method]
	select {
	case slot <- struct{}{}:
		defer func() { <-slot }()
	default:
		return nil, refusal(CodeUnavailable, "busy: %d requests of %s are under way", maxPerMethod, method)
	}
	callCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer watch(conn, cancel)()
	result, err := s.call(callCtx, handler, method, params)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil, stopping()
	}
	return result, err
}

// call turns a panic into an error: the worker outlives a mistake in a handler.
func (s *Server) call(ctx context.Context, handler Handler, method string, params json.RawMessage) (result any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			s.config.Logger.ErrorContext(ctx, "control handler panicked", slog.String("method", method),
				slog.Any("err", cause), slog.String("stack", string(debug.Stack())))
			result, err = nil, refusal(CodeInternal, "%s: the handler panicked; the worker's log has the stack", method)
		}
	}()
	return handler(ctx, params)
}

// watch cancels when the client closes the connection or sends more than its request. The returned function ends the
// watch and waits for it.
func watch(conn *net.UnixConn, cancel context.CancelCauseFunc) (stop func()) {
	_ = conn.SetReadDeadline(time.Time{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		var more [1]byte
		if _, err := conn.Read(more[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
			cancel(errClientGone)
		}
	}()
	return func() {
		wake(conn)
		<-done
	}
}

// wake ends a read under way, and every later one, without closing the connection: a reply can still be written.
func wake(conn *net.UnixConn) {
	_ = conn.SetReadDeadline(time.Unix(1, 0))
}

// refuse answers without having read anything.
func (s *Server) refuse(ctx context.Context, conn *net.UnixConn, err error) {
	s.reply(ctx, conn, nil, err)
	_ = conn.Close()
}

// reply writes what became of a request. Whether the client still listens is the client's affair.
func (s *Server) reply(ctx context.Context, conn *net.UnixConn, result any, err error) {
	var answer reply
	if err == nil {
		answer.Result, err = encodeLine(result)
		if err != nil {
			err = refusal(CodeInternal, "encode the result: %w", err)
		}
	}
	if err != nil {
		answer = reply{Error: &RemoteError{Code: CodeOf(err), Message: err.Error()}}
	}
	line, err := encodeLine(answer)
	if err != nil {
		s.config.Logger.ErrorContext(ctx, "control reply", slog.Any("err", fmt.Errorf("encode: %w", err)))
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(s.config.WriteTimeout))
	_, _ = conn.Write(line)
}
