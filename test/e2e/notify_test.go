package e2e_test

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestAManagerOfServicesHearsFromStartToEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	address := filepath.Join(filepath.Dir(h.state), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	h.env = append(h.env, "NOTIFY_SOCKET="+address, "WATCHDOG_USEC=20000")
	hears := func(want string) {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for buffer := make([]byte, 4096); ; {
			n, err := conn.Read(buffer)
			switch got := string(buffer[:max(n, 0)]); {
			case err != nil:
				t.Fatalf("waiting for %q: %v", want, err)
			case got == want:
				return
			case got != "WATCHDOG=1":
				t.Fatalf("heard %q, want %q", got, want)
			}
		}
	}
	r := h.start(t, workerBin, "run")
	hears("READY=1\nSTATUS=running")
	for range 3 {
		hears("WATCHDOG=1")
	}
	r.ready(t)
	r.signal(t, syscall.SIGTERM)
	hears("STOPPING=1\nSTATUS=draining")
	r.exit(t, 0)
}
