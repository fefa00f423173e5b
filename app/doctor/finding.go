package doctor

import (
	"fmt"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// Status is how grave a finding is.
type Status string

// The statuses.
const (
	// OK is a check that found nothing wrong.
	OK Status = "ok"
	// Warning is what may cost jobs or sleep one day.
	Warning Status = "warning"
	// Error is what keeps a worker from its work.
	Error Status = "error"
	// Skipped is a check that could not be made, or is not needed.
	Skipped Status = "skipped"
)

// Finding is what one check came to.
type Finding struct {
	// Check names what was looked at.
	Check  string `json:"check"`
	Status Status `json:"status"`
	// Found is one line. It holds no secret.
	Found string `json:"found"`
	// Fix is what to do about a warning or an error; empty otherwise.
	Fix string `json:"fix"`
	// Mistake tells of an error that the configuration causes, and not
	// something that is away.
	Mistake bool `json:"-"`
}

// Verdict is what several findings come to.
type Verdict int

// The verdicts, from the harmless to the most fundamental.
const (
	// Works is no error.
	Works Verdict = iota
	// Away is something that is needed and is away, or refuses.
	Away
	// Misconfigured is a configuration that cannot work.
	Misconfigured
)

// Judge returns the verdict of the most fundamental finding.
func Judge(findings []Finding) Verdict {
	verdict := Works
	for i := range findings {
		switch f := &findings[i]; {
		case f.Status != Error:
		case f.Mistake:
			verdict = Misconfigured
		default:
			verdict = max(verdict, Away)
		}
	}
	return verdict
}

// Late is the finding of a check that did not end in time.
func Late(check string) Finding {
	return failure(check, "not done in time", `run it again; if it stays so, look at what it asks with the other commands, such as "worker config" and "worker health"`)
}

// NotMade is a check that could not be made, or is not needed.
func NotMade(check, why string) Finding { return Finding{Check: check, Status: Skipped, Found: why} }

func fine(check, format string, args ...any) Finding {
	return Finding{Check: check, Status: OK, Found: fmt.Sprintf(format, args...)}
}

func warning(check, found, fix string) Finding {
	return Finding{Check: check, Status: Warning, Found: found, Fix: fix}
}

func failure(check, found, fix string) Finding {
	return Finding{Check: check, Status: Error, Found: found, Fix: fix}
}

func mistake(check, found, fix string) Finding {
	return Finding{Check: check, Status: Error, Found: found, Fix: fix, Mistake: true}
}

// maxFound bounds the words of others.
const maxFound = 1024

// words returns an error as one line.
func words(err error) string {
	return strings.Join(strings.FieldsFunc(domain.CleanText(err.Error(), maxFound), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// few lists some of the names.
func few(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
