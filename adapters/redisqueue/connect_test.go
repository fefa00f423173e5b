package redisqueue_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// canary is a password that must be seen nowhere.
const canary = "kanarienvogel-7f3a"

// dialled is a client of the connection that is closed with the test.
func dialled(t *testing.T, c redisqueue.Connection) *redis.Client {
	t.Helper()
	client := redisqueue.NewClient(c, "bull")
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func ping(t *testing.T, client *redis.Client) error {
	t.Helper()
	return client.Ping(t.Context()).Err()
}

func TestConnectionReachesItsDatabase(t *testing.T) {
	server := redistest.Start(t)
	client := dialled(t, redisqueue.Connection{Addr: server.Addr, DB: 7})
	if err := client.Set(t.Context(), "takt:where", "seven", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got := server.ClientOf(7).Get(t.Context(), "takt:where").Val(); got != "seven" {
		t.Errorf("database 7 has %q, want seven", got)
	}
}

func TestConnectionReachesAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "redis.sock")
	redistest.Start(t, "--unixsocket", path)
	for _, c := range []redisqueue.Connection{{Network: "unix", Addr: path}, {Addr: path}} {
		client := dialled(t, c)
		list, err := client.ClientList(t.Context()).Result()
		if err != nil || !strings.Contains(list, "addr="+path+":0") {
			t.Errorf("%s: clients %q, %v, want one on the socket", c, list, err)
		}
	}
}

func TestConnectionIsOfItsUser(t *testing.T) {
	server := redistest.Start(t, "--requirepass", canary, "--user", "worker", "on", ">"+canary, "~bull:*", "+@all")
	for _, c := range []struct{ user, want string }{{"", "default"}, {"worker", "worker"}} {
		client := dialled(t, redisqueue.Connection{Addr: server.Addr, Username: c.user, Password: domain.NewSecret(canary)})
		if got, err := client.Do(t.Context(), "acl", "whoami").Text(); err != nil || got != c.want {
			t.Errorf("user %q is %q, %v, want %q", c.user, got, err, c.want)
		}
	}
}

func TestConnectionShowsNoPassword(t *testing.T) {
	connection := redisqueue.Connection{
		Addr: "redis.example:6379", Username: "worker", Password: domain.NewSecret(canary), DB: 3, TLS: &tls.Config{MinVersion: tls.VersionTLS13},
	}
	text, err := json.Marshal(struct{ Password domain.Secret }{connection.Password})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %s %s", connection, connection, connection, connection, redisqueue.NewClient(connection, "bull"), text)
	if strings.Contains(shown, canary) {
		t.Errorf("the password is shown: %s", shown)
	}
	if got, want := connection.String(), "rediss://redis.example:6379/3"; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}

func TestConnectionIsNamedAfterItsAddress(t *testing.T) {
	for _, c := range []struct {
		connection redisqueue.Connection
		want       string
	}{
		{redisqueue.Connection{}, "redis://127.0.0.1:6379/0"},
		{redisqueue.Connection{Addr: "[::1]:6380", DB: 2}, "redis://[::1]:6380/2"},
		{redisqueue.Connection{Addr: "/run/redis.sock", DB: 1}, "unix:///run/redis.sock?db=1"},
	} {
		if got := c.connection.String(); got != c.want {
			t.Errorf("String() = %s, want %s", got, c.want)
		}
	}
}

func TestConnectionKnowsWhatIsWrongWithIt(t *testing.T) {
	for _, c := range []struct {
		about      string
		connection redisqueue.Connection
		want       string
	}{
		{"nothing", redisqueue.Connection{}, ""},
		{"a whole one", redisqueue.Connection{
			Network: "tcp", Addr: "h:1", Username: "u", Password: domain.NewSecret("p"), DB: 9, TLS: &tls.Config{MinVersion: tls.VersionTLS12},
		}, ""},
		{"network", redisqueue.Connection{Network: "udp"}, "neither tcp nor unix"},
		{"no port", redisqueue.Connection{Addr: "localhost"}, "not host:port"},
		{"no host", redisqueue.Connection{Addr: ":6379"}, "not host:port"},
		{"no password", redisqueue.Connection{Username: "u"}, "user without a password"},
		{"database", redisqueue.Connection{DB: -1}, "negative database"},
		{"no check", redisqueue.Connection{TLS: &tls.Config{InsecureSkipVerify: true}}, "without a check of the certificate"},
		{"socket", redisqueue.Connection{Addr: "/run/redis.sock", TLS: &tls.Config{MinVersion: tls.VersionTLS12}}, "not for sockets"},
	} {
		t.Run(c.about, func(t *testing.T) {
			err := c.connection.Validate()
			if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("Validate() = %v, want %q", err, c.want)
			}
		})
	}
}

func TestClientNameIsBullMQsForAWorker(t *testing.T) {
	for _, c := range []struct {
		prefix, worker, want string
		queue                domain.QueueName
	}{
		{prefix: "bull", queue: "q3", worker: "W", want: "bull:cTM=:w:W"},
		{prefix: "bull", queue: "q3", want: "bull:cTM="},
		{prefix: "{b}", queue: "q", worker: "my host\nü", want: "{b}:cQ==:w:my-host---"},
	} {
		if got := redisqueue.ClientName(c.prefix, c.queue, c.worker); got != c.want {
			t.Errorf("ClientName(%q, %q, %q) = %q, want %q", c.prefix, c.queue, c.worker, got, c.want)
		}
	}
}

func TestOnlyTheBlockingConnectionIsNamed(t *testing.T) {
	server := redistest.Start(t)
	connection := redisqueue.Connection{Addr: server.Addr}
	name := redisqueue.ClientName("bull", "mail", "host-1")
	blocking := redisqueue.NewBlockingClient(connection, "bull", name)
	defer blocking.Close() //nolint:errcheck // the test is over
	if err := errors.Join(ping(t, blocking), ping(t, blocking), ping(t, dialled(t, connection))); err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(server.Client().ClientList(t.Context()).Val()) {
		for field := range strings.FieldsSeq(line) {
			if value, ok := strings.CutPrefix(field, "name="); ok && value != "" {
				names = append(names, value)
			}
		}
	}
	if !slices.Equal(names, []string{name}) {
		t.Errorf("named connections = %q, want %q alone", names, name)
	}
}

func TestClientsHaveAtMostTheirConnections(t *testing.T) {
	server := redistest.Start(t)
	client := dialled(t, redisqueue.Connection{Addr: server.Addr})
	failed := make(chan error, 100)
	for range cap(failed) {
		go func() {
			pipe := client.Pipeline()
			pipe.Do(t.Context(), "blpop", "takt:nothing", "0.01")
			_, err := pipe.Exec(t.Context())
			if errors.Is(err, redis.Nil) {
				err = nil
			}
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if got := client.PoolStats().TotalConns; got > 8 {
		t.Errorf("%d connections, want at most 8", got)
	}
}

// lossy passes everything on to the server and closes each connection in the
// place of its first reply to a command with the word.
func lossy(t *testing.T, to, word string) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(t.Context(), client, to, word)
		}
	}()
	return listener.Addr().String()
}

func pass(ctx context.Context, client net.Conn, to, word string) {
	defer client.Close() //nolint:errcheck // the test is over
	server, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // the test is over
	request, reply := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := client.Read(request)
		if err != nil {
			return
		}
		if _, err := server.Write(request[:n]); err != nil {
			return
		}
		m, err := server.Read(reply)
		if err != nil || strings.Contains(string(request[:n]), word) {
			return
		}
		if _, err := client.Write(reply[:m]); err != nil {
			return
		}
	}
}

func TestAScriptWhoseReplyIsLostRunsOnce(t *testing.T) {
	server := redistest.Start(t)
	client := dialled(t, redisqueue.Connection{Addr: lossy(t, server.Addr, "INCR")})
	err := client.Eval(t.Context(), "return redis.call('INCR', KEYS[1])", []string{"takt:runs"}).Err()
	if !errors.Is(err, io.EOF) {
		t.Errorf("Eval() = %v, want EOF", err)
	}
	if got := server.Client().Get(t.Context(), "takt:runs").Val(); got != "1" {
		t.Errorf("the script ran %s times, want once", got)
	}
}

func TestTheDeadlineOfAContextBoundsACall(t *testing.T) {
	server := redistest.Start(t)
	client := dialled(t, redisqueue.Connection{Addr: server.Addr})
	if err := ping(t, client); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	defer server.Continue()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := client.Get(ctx, "takt:x").Err(); err == nil {
		t.Error("Get() = nil of a server that is stopped")
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("Get() took %s, want about 50ms", took)
	}
}

func TestASilentServerIsGivenUpWithinSeconds(t *testing.T) {
	server := redistest.Start(t)
	client := dialled(t, redisqueue.Connection{Addr: server.Addr})
	server.Pause()
	began := time.Now()
	if err := ping(t, client); err == nil {
		t.Error("Ping() = nil of a server that is stopped")
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("Ping() took %s, want about 3s", took)
	}
	server.Continue()
	if err := ping(t, client); err != nil {
		t.Errorf("Ping() of a server that goes on = %v, want nil", err)
	}
}

// awaitBlocked waits until one client waits for a marker.
func awaitBlocked(t *testing.T, observer *redis.Client) {
	t.Helper()
	for !strings.Contains(observer.Info(t.Context(), "clients").Val(), "blocked_clients:1") {
		select {
		case <-t.Context().Done():
			t.Fatal("no client waits")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestABlockingCallEndsWhenItsClientIsClosed(t *testing.T) {
	server := redistest.Start(t)
	client := redisqueue.NewBlockingClient(redisqueue.Connection{Addr: server.Addr}, "bull", "bull:cQ==")
	ended := make(chan error, 1)
	go func() { ended <- client.BZPopMin(t.Context(), 2*time.Second, "takt:marker").Err() }()
	awaitBlocked(t, server.Client())
	began := time.Now()
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("BZPopMin() = nil after its client was closed")
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("BZPopMin() went on for %s after its client was closed", took)
	}
}

func TestTheLibraryWritesNothingToStderr(t *testing.T) {
	stderr := os.Stderr
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stderr = write
	client := redisqueue.NewClient(redisqueue.Connection{Addr: "127.0.0.1:1", Password: domain.NewSecret(canary)}, "bull")
	for range 20 {
		if err := ping(t, client); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("Ping() = %v, want an error without the password", err)
		}
	}
	_ = client.Close()
	os.Stderr = stderr
	_ = write.Close()
	if text, err := io.ReadAll(read); err != nil || len(text) > 0 {
		t.Errorf("written to stderr: %q, %v", text, err)
	}
}
