package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// What the manager of services is told, in the words of sd_notify(3).
const (
	notifyReady    = "READY=1\nSTATUS=running"
	notifyStopping = "STOPPING=1\nSTATUS=draining"
	notifyAlive    = "WATCHDOG=1"
)

// notifyPatience bounds one message to a manager that does not read.
const notifyPatience = time.Second

// notifier tells the manager of services that started this process, such as
// systemd, how it gets on. Without one it does nothing.
type notifier struct {
	conn *net.UnixConn
	log  *slog.Logger
	// ticks come twice in the time after which the manager ends a process
	// that it has not heard of; nil without a watchdog.
	ticks *time.Ticker
	// answer is pending while the health is asked for.
	answer <-chan result[bool]
	failed bool
}

var errNotifySocket = errors.New("NOTIFY_SOCKET is neither an absolute path nor an abstract name, which begins with @")

// newNotifier reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. What is
// wrong with them is logged: the work does not depend on it.
func (s *session) newNotifier(ctx context.Context, log *slog.Logger) *notifier {
	n := &notifier{log: log}
	address := s.variable("NOTIFY_SOCKET")
	if address == "" {
		return n
	}
	if !strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "@") {
		n.fail(ctx, errNotifySocket)
		return n
	}
	// A datagram: it is sent from a socket without a name and answered by none.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		n.fail(ctx, err)
		return n
	}
	n.conn = conn
	every, err := watchdogInterval(s.variable("WATCHDOG_USEC"), s.variable("WATCHDOG_PID"), os.Getpid())
	if err != nil {
		n.fail(ctx, err)
	}
	if every > 0 {
		n.ticks = time.NewTicker(every)
	}
	return n
}

// watchdogInterval is how often the watchdog is to hear of the process: twice
// in its patience. Zero means that there is none, or that it is another
// process's.
func watchdogInterval(usec, pid string, self int) (time.Duration, error) {
	if usec == "" || (pid != "" && pid != strconv.Itoa(self)) {
		return 0, nil
	}
	patience, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || patience < 2 || patience > int64(24*time.Hour/time.Microsecond) {
		return 0, fmt.Errorf("WATCHDOG_USEC is no number of microseconds from 2 to a day's: %q", usec)
	}
	return time.Duration(patience) * time.Microsecond / 2, nil
}

// tell sends a message.
func (n *notifier) tell(ctx context.Context, message string) {
	if n.conn == nil {
		return
	}
	err := n.conn.SetWriteDeadline(time.Now().Add(notifyPatience))
	if err == nil {
		_, err = n.conn.Write([]byte(message))
	}
	if err != nil {
		n.fail(ctx, err)
	}
}

// fail logs the first thing that goes wrong.
func (n *notifier) fail(ctx context.Context, err error) {
	if !n.failed {
		n.failed = true
		n.log.WarnContext(ctx, "service manager not told", "err", err)
	}
}

// due delivers when the watchdog is to hear of the process.
func (n *notifier) due() <-chan time.Time {
	if n.ticks == nil {
		return nil
	}
	return n.ticks.C
}

// ask asks for the health. One question at a time: loops that hang may not
// answer, and then the manager hears nothing.
func (n *notifier) ask(live func() bool) {
	if n.answer == nil {
		n.answer = async(func() (bool, error) { return live(), nil })
	}
}

// answered tells the watchdog that the process lives, if it does.
func (n *notifier) answered(ctx context.Context, r result[bool]) {
	n.answer = nil
	if r.err == nil && r.value {
		n.tell(ctx, notifyAlive)
	}
}

func (n *notifier) close() {
	if n.ticks != nil {
		n.ticks.Stop()
	}
	if n.conn != nil {
		_ = n.conn.Close() // every message was sent
	}
}
