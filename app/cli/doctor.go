package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taktwork/takt/app/doctor"
)

const (
	doctorTimeout      = 5 * time.Second
	leastDoctorTimeout = time.Second
	// graceParts is how much of the timeout is left to a check for noticing that what
	// it asked does not answer: one of so many parts.
	graceParts = 10
)

func (s *session) doctorCommand() *cobra.Command {
	var asJSON bool
	timeout := duration(doctorTimeout)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with configuration, Redis, databases, clocks and schedules",
		Long: `Looks at the configuration, Redis, the databases, the clocks, this host, the queues and
the schedules, all at once and until the timeout at most, and prints a line for each
check: ok, warning, error or skipped, and what was found. Below each warning and error is
what to do. Nothing is changed, and no worker needs to run.

The exit code is 0 without an error, 78 for mistakes in the configuration, and else 69
for what is away or refuses.

` + exitCodes,
		Example: `  worker doctor
  worker doctor --json | jq '.[] | select(.status == "error")'`,
		Args: noArgs,
		RunE: s.interruptibly(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			if time.Duration(timeout) < leastDoctorTimeout {
				return usagef(cmd, "--timeout is %s, want %s or more", &timeout, leastDoctorTimeout)
			}
			return s.doctor(ctx, time.Duration(timeout), asJSON)
		}),
	}
	cmd.Flags().Var(&timeout, "timeout", "how long all checks may take, 1s or more")
	addJSON(cmd, &asJSON)
	return cmd
}

func (s *session) doctor(ctx context.Context, timeout time.Duration, asJSON bool) error {
	findings, err := s.examine(ctx, timeout)
	if err != nil {
		return err
	}
	if asJSON {
		err = s.printJSON(findings)
	} else {
		s.showFindings(findings)
	}
	if err != nil {
		return err
	}
	switch doctor.Judge(findings) {
	case doctor.Misconfigured:
		return &exitError{code: ExitConfig}
	case doctor.Away:
		return &exitError{code: ExitUnavailable}
	case doctor.Works:
	}
	return nil
}

// examination is a part of what is looked at.
type examination struct {
	// name is what it is called if it does not end.
	name string
	make func(context.Context) ([]doctor.Finding, error)
}

// examine makes all checks side by side: what is silent in one keeps no other
// from its answer.
func (s *session) examine(ctx context.Context, timeout time.Duration) ([]doctor.Finding, error) {
	limited, cancel := context.WithTimeout(ctx, timeout-timeout/graceParts)
	defer cancel()
	checks := s.checks(limited)
	made := make([]<-chan result[[]doctor.Finding], len(checks))
	for i, one := range checks {
		made[i] = async(func() ([]doctor.Finding, error) { return one.make(limited) })
	}
	grace := time.NewTimer(timeout)
	defer grace.Stop()
	late := make(chan struct{})
	var all []doctor.Finding
	for i, one := range checks {
		select {
		case r := <-made[i]:
			if r.err != nil {
				return nil, r.err
			}
			all = append(all, r.value...)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-grace.C:
			close(late) // for all that follow
			all = append(all, orLate(made[i], one.name)...)
		case <-late:
			all = append(all, orLate(made[i], one.name)...)
		}
	}
	return all, nil
}

// orLate is what a check came to, if it has ended.
func orLate(made <-chan result[[]doctor.Finding], name string) []doctor.Finding {
	select {
	case r := <-made:
		if r.err == nil {
			return r.value
		}
	default:
	}
	return []doctor.Finding{doctor.Late(name)}
}

// showFindings prints a line for each check, and below it what to do.
func (s *session) showFindings(findings []doctor.Finding) {
	widest := 0
	for i := range findings {
		widest = max(widest, len(findings[i].Check))
	}
	paint := console{colour: s.shown && s.colourful()}
	const widestStatus = len(doctor.Warning)
	margin := strings.Repeat(" ", widestStatus+2)
	for i := range findings {
		f := &findings[i]
		status := paint.paint(colourOfStatus(f.Status), fmt.Sprintf("%-*s", widestStatus, f.Status))
		s.printf("%s  %-*s  %s\n", status, widest, printable(f.Check), printable(f.Found))
		if f.Fix != "" {
			s.printf("%s%s %s\n", margin, paint.paint(dim, "to mend it:"), printable(f.Fix))
		}
	}
}

func colourOfStatus(status doctor.Status) string {
	switch status {
	case doctor.OK:
		return green
	case doctor.Warning:
		return yellow
	case doctor.Error:
		return red
	case doctor.Skipped:
	}
	return dim
}
