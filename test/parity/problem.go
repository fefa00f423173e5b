package parity

import "fmt"

// Problem is one claim that does not hold, with the place where it is made.
type Problem struct {
	File string // path from the top of the repository
	Line int    // from 1; 0 if the file as a whole is meant
	Text string
}

// String gives the problem as editors read it: file:line: text.
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}
