package doctor

import (
	"github.com/taktwork/takt/app/config"
)

// Checks of the configuration.
const checkConfiguration = "configuration"

// Configuration judges what loading the configuration found; set is how many
// variables have a value that is not the default.
func Configuration(report config.Report, set int) []Finding {
	var found []Finding
	for _, problem := range report.Problems {
		found = append(found, mistake(checkConfiguration, describe(problem), mend(problem)))
	}
	for _, problem := range report.Warnings {
		found = append(found, warning(checkConfiguration, describe(problem), mend(problem)))
	}
	if len(found) == 0 {
		return []Finding{fine(checkConfiguration, "%s set, no mistakes", plural(set, "variable"))}
	}
	return found
}

// Unread judges a configuration that cannot be read.
func Unread(err error) []Finding {
	return []Finding{mistake(checkConfiguration, words(err), "start it in a directory that this user may enter and read")}
}

func describe(p config.Problem) string {
	text := p.Variable + ": " + p.What
	if p.Origin.Kind != config.FromDefault && p.Origin.String() != p.Variable {
		text += ", set in " + p.Origin.String()
	}
	if p.Got != "" {
		text += " (got " + p.Got + ")"
	}
	return text
}

func mend(p config.Problem) string {
	fix := "correct or remove " + p.Variable
	switch {
	case p.Expected != "" && p.Example != "":
		fix = p.Variable + ": expected is " + p.Expected + ", such as " + p.Example
	case p.Expected != "":
		fix = p.Variable + ": expected is " + p.Expected
	case p.Example != "":
		fix = "write for example " + p.Example
	}
	return fix + `; "worker config" shows all settings and where they came from`
}
