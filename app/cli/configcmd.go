package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app/config"
)

// configAnswer is what config prints as JSON.
type configAnswer struct {
	Variables []config.Entry   `json:"variables"`
	Problems  []config.Problem `json:"problems"`
	Warnings  []config.Problem `json:"warnings"`
}

func (s *session) configCommand() *cobra.Command {
	var strict, asJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show every setting: its value, its default and where it came from",
		Long: `Checks the configuration and shows every variable with the value that counts, its
default and where the value came from. Secrets are masked. Nothing is connected or
started. Mistakes are all printed, their values are marked, and the exit code is 78.

` + exitCodes,
		Example: `  worker config
  worker config --strict    # unknown WORKER_ variables are mistakes
  worker config --json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if s.sourceErr != nil {
				return fmt.Errorf("read configuration: %w", s.sourceErr)
			}
			entries, report := config.Inspect(s.source, config.WithCronCheck(checkCron))
			if strict {
				report = report.Strict()
			}
			return s.showConfig(entries, report, asJSON)
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "take unknown WORKER_ variables for mistakes")
	addJSON(cmd, &asJSON)
	return cmd
}

func (s *session) showConfig(entries []config.Entry, report config.Report, asJSON bool) error {
	s.warn(report)
	answer := configAnswer{
		Variables: entries, Problems: append([]config.Problem{}, report.Problems...),
		Warnings: append([]config.Problem{}, report.Warnings...),
	}
	if !asJSON {
		s.showEntries(entries)
		return report.Err()
	}
	if err := s.printJSON(answer); err != nil {
		return err
	}
	return report.Err()
}

func (s *session) showEntries(entries []config.Entry) {
	rows := [][]string{{"VARIABLE", "VALUE", "ORIGIN", "DEFAULT"}}
	for _, entry := range entries {
		value := orDash(entry.Value)
		if entry.Bad {
			value += " (bad)"
		}
		rows = append(rows, []string{entry.Name, value, orDash(entry.Origin.String()), orDash(entry.Default)})
	}
	table(s.out, rows)
}
