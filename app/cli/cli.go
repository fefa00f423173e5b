package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app"
)

// Build says what was built. The zero value is a build of no known version.
type Build struct {
	// Version is printed by `worker version` and in the banner.
	Version string
	// Commit is the revision; empty takes what the Go toolchain recorded.
	Commit string
}

// Main runs the command that the process was started with, for a worker made
// of the modules, and returns the exit code: one of the Exit constants. It
// takes over the process's signals. The modules are given the configuration
// (*config.Config) beside what [app.New] gives them.
func Main(build Build, modules ...app.Option) int {
	p, release := osProcess()
	defer release()
	return execute(p, build, modules...)
}

// session is one invocation of the command line.
type session struct {
	process

	build   Build
	modules []app.Option
	out     *output
	// entered tells that the command line was understood: what goes wrong
	// before is a mistake of usage.
	entered bool
	// starting tells that the command is the one that starts something.
	starting bool
}

func execute(p process, build Build, modules ...app.Option) (code int) {
	s := &session{process: p, build: build, modules: modules, out: newOutput(p.stdout)}
	defer func() {
		if cause := recover(); cause != nil {
			code = s.crashed(cause, debug.Stack())
		}
	}()
	root := s.root()
	root.SetArgs(p.args)
	root.SetIn(p.stdin)
	root.SetOut(s.out)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(context.Background())
	if err != nil && !s.entered && codeOf(err) == ExitInternal {
		err = usage(root, err)
	}
	return s.finish(err)
}

// finish prints what is left to print and returns the exit code.
func (s *session) finish(err error) int {
	code := codeOf(err)
	if panicked, ok := errors.AsType[*panicError](err); ok {
		return s.crashed(panicked.cause, panicked.stack)
	}
	s.complain(err)
	if err := s.out.close(); err != nil && code == ExitOK {
		s.complain(fmt.Errorf("write output: %w", err))
		code = ExitInternal
	}
	return code
}

func (s *session) crashed(cause any, stack []byte) int {
	_, _ = fmt.Fprintf(s.stderr, "%s: internal error: %s\n\n%s", printable(s.name), printableText(fmt.Sprint(cause)), stack)
	return ExitInternal
}

// output buffers what goes to stdout and remembers what went wrong: a reader
// that went away ends no command half-way.
type output struct {
	to  *bufio.Writer
	err error
}

func newOutput(to io.Writer) *output { return &output{to: bufio.NewWriter(to)} }

// Write never fails; close tells.
func (o *output) Write(text []byte) (int, error) {
	if o.err == nil {
		_, o.err = o.to.Write(text)
	}
	return len(text), nil
}

// flush shows what was written so far, before a command that takes long ends.
func (o *output) flush() {
	if o.err == nil {
		o.err = o.to.Flush()
	}
}

// close writes the rest. A closed pipe is no error: the reader has had enough.
func (o *output) close() error {
	o.flush()
	if isClosedPipe(o.err) {
		return nil
	}
	return o.err
}

func (s *session) root() *cobra.Command {
	var showVersion bool
	root := &cobra.Command{
		Use:   s.name,
		Short: "A headless background worker: scheduled jobs and queue jobs, no listening port",
		Long: `A headless background worker: scheduled jobs and queue jobs, no listening port.

Settings come from the environment, .env.local and .env; "worker config" shows
what counts and where it came from. Commands that talk to a running worker do so
through its Unix socket in WORKER_STATE_DIR.

` + exitCodes,
		Example: `  worker run                    # the worker, in the foreground
  worker jobs                   # scheduled jobs and their next ticks
  worker plan --for 7d          # what will fire in the next seven days
  worker health ready           # exit code 0 if the worker takes work
  worker doctor                 # what is wrong, and what to do about it`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if showVersion {
				_, err := fmt.Fprintln(s.out, s.name, s.build.version())
				return err
			}
			return group(cmd, args)
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			s.entered = true
			return noEmptyFlags(cmd)
		},
	}
	// A flag of our own: cobra's would need a template, and with text/template
	// the linker keeps every method of every type, 3 MB of them.
	root.Flags().BoolVarP(&showVersion, "version", "v", false, "version for "+s.name)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(s.runCommand(), s.jobsCommand(), s.planCommand(), s.runsCommand(), s.whyCommand(), s.enqueueCommand(), s.queuesCommand(), s.outboxCommand(),
		s.healthCommand(), s.doctorCommand(), s.configCommand(), s.migrateCommand(), s.versionCommand())
	for _, command := range root.Commands() {
		s.nameExamples(command)
	}
	s.nameExamples(root)
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Args, completion.RunE = cobra.ArbitraryArgs, group
	}
	return root
}

// nameExamples has the examples of the command and those below it show the
// program's own name.
func (s *session) nameExamples(command *cobra.Command) {
	for _, below := range command.Commands() {
		if command.HasParent() {
			s.nameExamples(below)
		}
	}
	if s.name != "worker" {
		command.Example = strings.ReplaceAll(command.Example, "worker ", s.name+" ")
	}
}

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command",
		RunE: func(_ *cobra.Command, args []string) error {
			about, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(root, args)
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}
