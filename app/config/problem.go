package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	mask     = "***"
	gotLimit = 64
)

// Problem is one mistake in the configuration, or one warning.
type Problem struct {
	// Variable is the variable's name, or the file and line of a mistake in a file.
	Variable string `json:"variable"`
	// Origin is where the value came from.
	Origin Origin `json:"origin"`
	// What is wrong, without the value.
	What string `json:"what"`
	// Got is the value, quoted and shortened, or masked; empty if there is none to show.
	Got string `json:"got,omitempty"`
	// Expected is the rule.
	Expected string `json:"expected,omitempty"`
	// Example is a value that the rule accepts.
	Example string `json:"example,omitempty"`

	// unknown marks a name that nothing reads: a warning, or under Strict a problem.
	unknown bool
}

// String is the one line that people read:
//
//	config: <VARIABLE>: <what is wrong> (got <value>); expected <rule>; example <value>
//
// Parts that the problem lacks are left out. It never shows a secret.
func (p Problem) String() string {
	var line strings.Builder
	line.WriteString("config: " + p.Variable + ": " + p.What)
	if p.Origin.Kind != FromDefault && p.Origin.String() != p.Variable {
		line.WriteString(", set in " + p.Origin.String())
	}
	if p.Got != "" {
		line.WriteString(" (got " + p.Got + ")")
	}
	if p.Expected != "" {
		line.WriteString("; expected " + p.Expected)
	}
	if p.Example != "" {
		line.WriteString("; example " + p.Example)
	}
	return line.String()
}

// Report is everything that the check found, in the order of the files and
// then of the table of variables; unknown names come last, sorted.
type Report struct {
	// Problems stop the worker.
	Problems []Problem `json:"problems"`
	// Warnings do not.
	Warnings []Problem `json:"warnings"`
}

// Strict is the report with every unknown name as a problem. The receiver is
// left as it is.
func (r Report) Strict() Report {
	strict := Report{Problems: append([]Problem(nil), r.Problems...)}
	for _, warning := range r.Warnings {
		if warning.unknown {
			strict.Problems = append(strict.Problems, warning)
		} else {
			strict.Warnings = append(strict.Warnings, warning)
		}
	}
	return strict
}

// Err is nil without problems, otherwise an *InvalidError with all of them.
func (r Report) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	return &InvalidError{Problems: r.Problems}
}

// InvalidError is a configuration that must not run; the process exits with 78.
type InvalidError struct {
	// Problems are all mistakes, at least one.
	Problems []Problem
}

// Error has one line for each problem.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, problem := range e.Problems {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// quoted shows a value on one line of at most gotLimit characters. A value that
// looks like an address with a password in it is masked: it may have been put
// into the wrong variable.
func quoted(value string) string {
	if before, _, found := strings.Cut(value, "@"); found && strings.Contains(before, ":") {
		return mask
	}
	whole := strconv.Quote(value)
	if utf8.RuneCountInString(whole) <= gotLimit {
		return whole
	}
	characters := []rune(value)
	for kept := min(len(characters), gotLimit); ; kept-- {
		short := strings.TrimSuffix(strconv.Quote(string(characters[:kept])), `"`) + `…"`
		if utf8.RuneCountInString(short) <= gotLimit {
			return short
		}
	}
}
