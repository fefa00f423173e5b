package control_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/taktwork/takt/app/control"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// stateDir is short: t.TempDir carries the test's name, and a socket path holds 104 bytes.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "takt") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func echo(_ context.Context, params json.RawMessage) (any, error) {
	return params, nil
}

func config(dir, instance string) control.Config {
	return control.Config{
		StateDir: dir, Namespace: "default", Instance: instance,
		Handlers: map[string]control.Handler{"echo": echo},
	}
}

type running struct {
	*control.Server
	control.Instance
	served chan error
}

func start(t *testing.T, c control.Config) *running {
	t.Helper()
	server, err := control.Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Server: server, Instance: control.Instance{Name: c.Instance, Socket: server.Path()}, served: make(chan error, 1)}
	go func() { r.served <- server.Serve(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := server.Close(ctx); err != nil && !errors.Is(err, control.ErrConfig) {
			t.Errorf("Close() = %v, want nil", err)
		}
		if err := <-r.served; err != nil && !errors.Is(err, control.ErrClosed) {
			t.Errorf("Serve() = %v, want nil", err)
		}
	})
	return r
}

func dial(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// soon returns what is sent; the test is over if nothing is.
func soon[T any](t *testing.T, sent <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-sent:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came within 20 s")
	}
	return value
}

func readReply(t *testing.T, conn net.Conn) string {
	t.Helper()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatalf("read reply: %v", err)
	}
	return line
}

func ask(t *testing.T, path, text string) string {
	t.Helper()
	conn := dial(t, path)
	// A refused request may break the pipe; the reply is what counts.
	_, _ = conn.Write([]byte(text))
	return readReply(t, conn)
}

func wantRemote(t *testing.T, err error, code control.Code, part string) {
	t.Helper()
	var remote *control.RemoteError
	if !errors.As(err, &remote) || remote.Code != code || !strings.Contains(remote.Message, part) {
		t.Errorf("Call() = %v, want a %s reply with %q", err, code, part)
	}
	if got := control.CodeOf(err); got != code {
		t.Errorf("CodeOf() = %q, want %q", got, code)
	}
}

func wantListenError(t *testing.T, c control.Config, sentinel error, parts ...string) {
	t.Helper()
	server, err := control.Listen(c)
	if err == nil {
		_ = server.Close(t.Context())
	}
	if !errors.Is(err, sentinel) {
		t.Fatalf("Listen() = %v, want %v", err, sentinel)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("Listen() = %v, want it to name %q", err, part)
		}
	}
}

func mustInstances(t *testing.T, dir string) []control.Instance {
	t.Helper()
	list, err := control.Instances(dir, "default")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func logger() (*slog.Logger, *bytes.Buffer) {
	var text bytes.Buffer
	return slog.New(slog.NewTextHandler(&text, nil)), &text
}

func lockOf(socket string) string {
	return strings.TrimSuffix(socket, ".sock") + ".lock"
}

func makeNamespace(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "default")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
