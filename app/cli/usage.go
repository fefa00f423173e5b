package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/core/domain"
)

// usage marks err as a mistake on the command line and says where help is.
func usage(cmd *cobra.Command, err error) error {
	return &exitError{code: ExitUsage, err: fmt.Errorf("%w\nRun \"%s --help\" for usage", err, cmd.CommandPath())}
}

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return usage(cmd, fmt.Errorf(format, args...))
}

// group is a command that has subcommands and does nothing by itself.
func group(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args)
	}
	return cmd.Help()
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	return usagef(cmd, "unknown command %s%s", domain.Quote(args[0]), meant(suggestions(cmd, args[0])))
}

// suggestions are the commands that differ little from name.
func suggestions(cmd *cobra.Command, name string) []string {
	const longest, nearest = 64, 2
	if len(name) > longest {
		return nil
	}
	cmd.SuggestionsMinimumDistance = nearest
	return cmd.SuggestionsFor(name)
}

func meant(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(names, " or ") + "?"
}

// noArgs refuses arguments; for a command with subcommands they are names of
// commands that there are not.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasSubCommands():
		return unknownCommand(cmd, args)
	}
	return usagef(cmd, "unexpected argument %s", domain.Quote(args[0]))
}

// noEmptyFlags refuses flags that were given nothing, as by a variable of a
// script that is not set.
func noEmptyFlags(cmd *cobra.Command) error {
	for _, name := range []string{"from", "to", "tz", "id", "at", "since", "until", "queue", "job-name", "job-id", "replica", instanceFlag} {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed && flag.Value.String() == "" {
			return usagef(cmd, "--%s is empty", name)
		}
	}
	return nil
}

// oneName takes the name of a job.
func oneName(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 || args[0] == "":
		return usagef(cmd, "NAME is missing")
	case len(args) > 1:
		return usagef(cmd, "unexpected argument %s", domain.Quote(args[1]))
	}
	return nil
}

var longFlag = regexp.MustCompile(`(?m)^ +(?:-\w, +)?--([a-z-]+)`)

// flagError names the flag that was probably meant. An unknown command is
// reported before its flags.
func flagError(cmd *cobra.Command, err error) error {
	if before := cmd.Flags().Args(); !cmd.HasParent() && len(before) > 0 {
		return unknownCommand(cmd, before)
	}
	var unknown interface{ GetSpecifiedName() string }
	if !errors.As(err, &unknown) || !strings.HasPrefix(err.Error(), "unknown") {
		return usage(cmd, err)
	}
	flags := &cobra.Command{Use: "flags"}
	for _, match := range longFlag.FindAllStringSubmatch(cmd.Flags().FlagUsages(), -1) {
		flags.AddCommand(&cobra.Command{Use: match[1], Run: func(*cobra.Command, []string) {}})
	}
	found := suggestions(flags, unknown.GetSpecifiedName())
	for i := range found {
		found[i] = "--" + found[i]
	}
	return usagef(cmd, "%w%s", err, meant(found))
}
