package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/taktwork/takt/app/config"
)

// process is what the command line takes from the process it runs in.
type process struct {
	// name is that of the program.
	name   string
	args   []string
	source config.Source
	// sourceErr is why there is no source.
	sourceErr      error
	stdin          io.Reader
	stdout, stderr io.Writer
	// terminal tells that a person reads stderr, shown that one reads stdout.
	terminal, shown bool
	signals         <-chan os.Signal
	now             func() time.Time
}

// osProcess is the process itself. From here on its signals arrive in the
// channel, until release gives them back.
func osProcess() (p process, release func()) {
	const pending = 8
	signals := make(chan os.Signal, pending)
	for _, stopping := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		// Who started the process with nohup, or in the background of a
		// shell without job control, wants the signal ignored.
		if !signal.Ignored(stopping) {
			signal.Notify(signals, stopping)
		}
	}
	// A reader of stdout or stderr that went away is an error of the write.
	signal.Ignore(syscall.SIGPIPE)
	source, err := config.ProcessSource()
	return process{
		name: programName(os.Args), args: os.Args[1:], source: source, sourceErr: err,
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		terminal: isTerminal(os.Stderr), shown: isTerminal(os.Stdout), signals: signals, now: time.Now,
	}, func() { signal.Stop(signals) }
}

// programName is what the program was called by.
func programName(args []string) string {
	if len(args) == 0 || args[0] == "" {
		return "worker"
	}
	return filepath.Base(args[0])
}

func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), getTermios)
	return err == nil
}

// colour tells whether logs may be coloured.
func (p *process) colour() bool { return p.terminal && p.colourful() }

// colourful tells whether a terminal shows colours, and they are wanted.
func (p *process) colourful() bool {
	return p.variable("NO_COLOR") == "" && p.variable("TERM") != "dumb"
}

func (p *process) variable(name string) string {
	for _, pair := range p.source.Environ {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			return value
		}
	}
	return ""
}

// interruptible returns a context that the first signal ends, with
// errInterrupted as its cause. done ends the watch.
func (p *process) interruptible(ctx context.Context) (watched context.Context, done func()) {
	watched, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-p.signals:
			cancel(errInterrupted)
		case <-watched.Done():
		}
	}()
	return watched, func() { cancel(nil) }
}

// interruptibleReader ends a read that waits when ctx ends. What the read
// then still delivers is lost.
type interruptibleReader struct {
	ctx  context.Context //nolint:containedctx // io.Reader has no context
	from io.Reader
}

func (r *interruptibleReader) Read(into []byte) (int, error) {
	buffer := make([]byte, len(into))
	read := async(func() (int, error) { return r.from.Read(buffer) })
	select {
	case got := <-read:
		return copy(into, buffer[:got.value]), got.err
	case <-r.ctx.Done():
		return 0, context.Cause(r.ctx)
	}
}
