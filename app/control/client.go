package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dialPatience = 5 * time.Second
	dialRetry    = 10 * time.Millisecond
)

// Call sends one request and waits for its reply as long as ctx allows; a call that ends with ctx takes the handler's
// context with it. params is a struct or map, nil for none; result is a pointer, nil to drop the result, and fields it
// lacks are ignored: the worker may be newer. It never repeats a request. Errors: ErrNoWorker if nobody listens,
// *RemoteError if the worker refused, ErrNoReply if the connection ended first, ctx's error (see CodeOf).
func (i Instance) Call(ctx context.Context, method string, params, result any) error {
	if err := i.call(ctx, method, params, result); err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	return nil
}

func (i Instance) call(ctx context.Context, method string, params, result any) error {
	line, err := encodeLine(request{Method: method, Params: params})
	if err != nil {
		return refusal(CodeBadData, "encode params: %w", err)
	}
	if len(line) > maxRequest {
		return refusal(CodeBadData, "the request has %d bytes, at most %d are taken", len(line), maxRequest)
	}
	conn, err := i.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // the reply is in or given up
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()

	answer, err := exchange(conn, line)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return decodeReply(answer, result)
}

// exchange reads even if writing broke off: a worker that refuses early says why and closes.
func exchange(conn *net.UnixConn, line []byte) ([]byte, error) {
	_, writeErr := conn.Write(line)
	answer, err := readLine(conn, maxReply)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoReply, errors.Join(writeErr, err))
	}
	return answer, nil
}

func decodeReply(line []byte, result any) error {
	var answer reply
	decoder := json.NewDecoder(bytes.NewReader(line))
	if err := decoder.Decode(&answer); err != nil {
		return fmt.Errorf("decode the reply: %w", err)
	}
	if answer.Error != nil {
		return answer.Error
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		return fmt.Errorf("decode the result: %w", err)
	}
	return nil
}

// dial connects and makes sure who listens. While the kernel's queue of the socket is full it tries again, for a while.
func (i Instance) dial(ctx context.Context) (*net.UnixConn, error) {
	patience := time.NewTimer(dialPatience)
	defer patience.Stop()
	retry := time.NewTicker(dialRetry)
	defer retry.Stop()
	for {
		conn, err := i.connect(ctx)
		if !errors.Is(err, unix.EAGAIN) {
			return conn, err
		}
		select {
		case <-retry.C:
		case <-patience.C:
			return nil, refusal(CodeUnavailable, "connect: %w", err)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (i Instance) connect(ctx context.Context) (*net.UnixConn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", i.Socket)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		return nil, fmt.Errorf("%w: %w", ErrNoWorker, err)
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("connect %s: %T is no Unix socket", i.Socket, conn), conn.Close())
	}
	uid, err := PeerUID(unixConn)
	if err == nil && !serverTrusted(os.Geteuid(), uid) {
		err = fmt.Errorf("connect %s: uid %d listens there, not uid %d", i.Socket, uid, os.Geteuid())
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return unixConn, nil
}
