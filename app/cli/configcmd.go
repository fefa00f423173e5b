package cli

import (
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
started. Mistakes are all printed, and the exit code is 78.

` + exitCodes,
		Example: `  worker config
  worker config --strict    # unknown WORKER_ variables are mistakes
  worker config --json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			loaded, report, err := s.load()
			if strict && s.sourceErr == nil {
				report = report.Strict()
				err = report.Err()
			}
			return s.showConfig(loaded, report, showForm{asJSON: asJSON, err: err})
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "take unknown WORKER_ variables for mistakes")
	addJSON(cmd, &asJSON)
	return cmd
}

type showForm struct {
	asJSON bool
	err    error
}

func (s *session) showConfig(loaded *config.Config, report config.Report, form showForm) error {
	for _, warning := range report.Warnings {
		s.note("%s (warning)", printableText(warning.String()))
	}
	answer := configAnswer{
		Variables: []config.Entry{}, Problems: append([]config.Problem{}, report.Problems...),
		Warnings: append([]config.Problem{}, report.Warnings...),
	}
	if loaded != nil {
		answer.Variables = loaded.Entries()
	}
	switch {
	case form.asJSON:
		if err := s.printJSON(answer); err != nil {
			return err
		}
	case form.err == nil:
		s.showEntries(answer.Variables)
	}
	return form.err
}

func (s *session) showEntries(entries []config.Entry) {
	rows := [][]string{{"VARIABLE", "VALUE", "ORIGIN", "DEFAULT"}}
	for _, entry := range entries {
		rows = append(rows, []string{entry.Name, orDash(entry.Value), orDash(entry.Origin.String()), orDash(entry.Default)})
	}
	table(s.out, rows)
}
