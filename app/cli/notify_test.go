package cli_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/cli"
)

// manager stands in for systemd: a socket that takes datagrams.
func manager(t *testing.T) (conn *net.UnixConn, address string) {
	t.Helper()
	// Not t.TempDir: the path of a socket is short.
	dir, err := os.MkdirTemp("/tmp", "takt") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	address = filepath.Join(dir, "notify")
	conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, address
}

// heard reads as many messages.
func heard(t *testing.T, conn *net.UnixConn, count int) []string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	messages := make([]string, count)
	for i := range messages {
		buffer := make([]byte, 4096)
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("after %q: %v", messages[:i], err)
		}
		messages[i] = string(buffer[:n])
	}
	return messages
}

func TestTheWatchdogHearsOfLoopsThatMoveAlone(t *testing.T) {
	conn, address := manager(t)
	var log bytes.Buffer
	cli.Notify(t.Context(), []string{"NOTIFY_SOCKET=" + address, "WATCHDOG_USEC=60000000"}, cli.NewJSONLog(&log), true, false, false, true)
	want := []string{"WATCHDOG=1", "WATCHDOG=1", "STOPPING=1\nSTATUS=draining"}
	if diff := cmp.Diff(want, heard(t, conn, len(want))); diff != "" {
		t.Errorf("messages differ (-want +got):\n%s", diff)
	}
	if log.Len() > 0 {
		t.Errorf("logged: %s", &log)
	}
}

func TestAManagerThatCannotBeToldIsOneWarning(t *testing.T) {
	for about, environ := range map[string][]string{
		"relative":         {"NOTIFY_SOCKET=notify"},
		"away":             {"NOTIFY_SOCKET=/nonexistent/notify"},
		"abstract, away":   {"NOTIFY_SOCKET=@takt-nobody-listens"},
		"strange patience": {"NOTIFY_SOCKET=" + func() string { _, address := manager(t); return address }(), "WATCHDOG_USEC=soon"},
	} {
		t.Run(about, func(t *testing.T) {
			var log bytes.Buffer
			cli.Notify(t.Context(), environ, cli.NewJSONLog(&log), true, true)
			if got := strings.Count(log.String(), `"msg":"service manager not told"`); got != 1 {
				t.Errorf("%d warnings, want 1: %s", got, &log)
			}
		})
	}
	var log bytes.Buffer
	cli.Notify(t.Context(), nil, cli.NewJSONLog(&log), true)
	if log.Len() > 0 {
		t.Errorf("without a manager is logged: %s", &log)
	}
}

func TestTheWatchdogHearsTwiceInItsPatience(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
		wrong     bool
	}{
		{usec: "", want: 0},
		{usec: "30000000", want: 15 * time.Second},
		{usec: "30000000", pid: "4711", want: 15 * time.Second},
		{usec: "30000000", pid: "4712", want: 0},
		{usec: "0", wrong: true},
		{usec: "-1", wrong: true},
		{usec: "1.5", wrong: true},
		{usec: "9223372036854775808", wrong: true},
		{usec: "9223372036854775807", wrong: true},
	} {
		got, err := cli.WatchdogInterval(c.usec, c.pid, 4711)
		if got != c.want || (err != nil) != c.wrong {
			t.Errorf("WATCHDOG_USEC=%s WATCHDOG_PID=%s: %s, %v; want %s", c.usec, c.pid, got, err, c.want)
		}
	}
}
