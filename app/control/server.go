package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	maxConns = 16

	// One method cannot take every connection: health still answers while long triggers run.
	maxPerMethod = maxConns / 2

	defaultTimeout = 5 * time.Second
)

// Handler answers one method. It returns a value that encodes as JSON, or an error, marked by WithCode if it is not the
// worker's fault. params is an object or empty (see DecodeParams). ctx ends when the client goes away or the server
// closes, and the handler returns soon after. Handlers run concurrently; a panic becomes an error reply and a log line.
type Handler func(ctx context.Context, params json.RawMessage) (any, error)

// Config says where a server listens and what it answers.
type Config struct {
	StateDir  string
	Namespace string
	Instance  string

	// Handlers by method. Read only after Listen.
	Handlers map[string]Handler

	Logger *slog.Logger

	// PeerUID returns the user at the other end of a connection; nil asks the kernel.
	PeerUID func(*net.UnixConn) (int, error)

	// ReadTimeout is the time for the whole request, WriteTimeout for the whole reply once it is ready; zero is 5 s.
	ReadTimeout  time.Duration
	WriteTimeout time.Duration
}

// Server owns the socket and the lock of one instance from Listen to Close.
type Server struct {
	config   Config
	path     string
	lock     *fileLock
	listener *net.UnixListener
	slots    chan struct{}
	busy     map[string]chan struct{}

	released sync.Once
	served   chan struct{}

	mu      sync.Mutex
	closed  bool
	serving bool
	stop    context.CancelCauseFunc
}

// Listen takes the instance's lock and opens its socket; connections wait until Serve. A live worker of the same name is
// ErrInUse; a name, path, directory or file that cannot be used is ErrConfig, with what would be right.
func Listen(config Config) (*Server, error) {
	path, err := SocketPath(config.StateDir, config.Namespace, config.Instance)
	if err != nil {
		return nil, fmt.Errorf("control listen: %w", err)
	}
	if err := prepareDirs(config.StateDir, config.Namespace); err != nil {
		return nil, fmt.Errorf("control listen: %w", err)
	}
	lock, err := acquireSoon(lockPath(path))
	if errors.Is(err, errHeld) {
		err = fmt.Errorf("instance %q in namespace %q: %w", config.Instance, config.Namespace, ErrInUse)
		err = &PlaceError{Variable: instanceVariable, What: err.Error(), err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("control listen: %w", err)
	}
	listener, err := bind(path)
	if err != nil {
		return nil, fmt.Errorf("control listen: %w", errors.Join(err, lock.release()))
	}
	sweep(filepath.Dir(path))
	return newServer(config, lock, listener), nil
}

func bind(path string) (*net.UnixListener, error) {
	if err := clearSocket(path); err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	// The socket is removed under the lock, and only if it is one: see release.
	listener.SetUnlinkOnClose(false)
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, listener.Close(), clearSocket(path))
	}
	return listener, nil
}

func newServer(config Config, lock *fileLock, listener *net.UnixListener) *Server {
	if config.PeerUID == nil {
		config.PeerUID = PeerUID
	}
	if config.ReadTimeout <= 0 {
		config.ReadTimeout = defaultTimeout
	}
	if config.WriteTimeout <= 0 {
		config.WriteTimeout = defaultTimeout
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	busy := make(map[string]chan struct{}, len(config.Handlers))
	for method := range config.Handlers {
		busy[method] = make(chan struct{}, maxPerMethod)
	}
	return &Server{
		config:   config,
		path:     listener.Addr().String(),
		lock:     lock,
		listener: listener,
		slots:    make(chan struct{}, maxConns),
		busy:     busy,
		served:   make(chan struct{}),
	}
}

// Path returns the path of the socket.
func (s *Server) Path() string { return s.path }

// Serve answers until ctx ends or Close is called, waits for every connection, and returns nil; ErrClosed if Close came
// first. It serves once. The handlers' contexts descend from ctx.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := s.begin(cancel); err != nil {
		return err
	}
	defer close(s.served)
	defer context.AfterFunc(ctx, func() { _ = s.listener.Close() })()

	var conns sync.WaitGroup
	defer conns.Wait()
	var pause backoff
	for {
		conn, err := s.listener.AcceptUnix()
		switch {
		case err == nil:
			pause = 0
			s.admit(ctx, conn, &conns)
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			s.config.Logger.WarnContext(ctx, "control accept", slog.Any("err", err))
			pause.wait(ctx)
		}
	}
}

func (s *Server) begin(cancel context.CancelCauseFunc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.serving:
		return errors.New("control serve: already serving")
	}
	s.serving = true
	s.stop = cancel
	return nil
}

// admit decides in the loop, before a connection costs anything: who may not ask or comes while all are taken is told
// so at once. A first short write to a fresh socket does not block.
func (s *Server) admit(ctx context.Context, conn *net.UnixConn, conns *sync.WaitGroup) {
	uid, err := s.config.PeerUID(conn)
	if err != nil || !clientAllowed(os.Geteuid(), uid) {
		s.config.Logger.WarnContext(ctx, "control peer refused", slog.Int("uid", uid), slog.Any("err", err))
		s.refuse(ctx, conn, refusal(CodeUnavailable, "the worker answers its own user and root alone"))
		return
	}
	select {
	case s.slots <- struct{}{}:
	default:
		s.refuse(ctx, conn, refusal(CodeUnavailable, "busy: %d connections are open", maxConns))
		return
	}
	conns.Go(func() {
		defer func() { <-s.slots }()
		s.converse(ctx, conn)
	})
}

// Close stops accepting, ends the handlers' contexts, waits for them until ctx ends, and removes the socket and the lock
// whether or not all came back; then the error is that of ctx. It may be called again, to wait longer, and without Serve.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	serving, stop := s.serving, s.stop
	s.mu.Unlock()

	var err error
	if serving {
		stop(ErrClosed)
		select {
		case <-s.served:
		case <-ctx.Done():
			err = fmt.Errorf("control close: handlers still run: %w", context.Cause(ctx))
		}
	}
	s.released.Do(func() { err = errors.Join(err, s.release()) })
	return err
}

func (s *Server) release() error {
	err := s.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if s.lock.stands() {
		err = errors.Join(err, clearSocket(s.path))
	}
	return errors.Join(err, s.lock.release())
}

// backoff spaces repeated accept errors, such as a lack of descriptors; zero is the start.
type backoff time.Duration

func (b *backoff) wait(ctx context.Context) {
	*b = min(max(*b*2, backoff(5*time.Millisecond)), backoff(time.Second))
	timer := time.NewTimer(time.Duration(*b))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
