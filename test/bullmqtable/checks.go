package bullmqtable

import (
	"fmt"
	"strconv"
	"strings"
)

// checkCount is how many checks the protocol has.
const checkCount = 76

// Check is one of the numbered checks of the protocol.
type Check struct {
	Number  int
	Cell    Cell
	Covered []string
}

// Alone tells that the check has tests, and that none of them needs Node.
func (c *Check) Alone() bool { return len(c.Cell.Tests) > 0 && len(c.Covered) == 0 }

// ParseChecks reads the list of checks: a line each, "NUMBER | TESTS", from 1
// to the last. The problems are tests that do not exist, and tests that bear
// another number.
func ParseChecks(text string, tests *Tests) (checks []Check, problems []string, err error) {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		number, list, _ := strings.Cut(line, "|")
		check := Check{}
		if check.Number, err = strconv.Atoi(strings.TrimSpace(number)); err != nil || check.Number != len(checks)+1 {
			return nil, nil, fmt.Errorf("%q does not begin with %d", line, len(checks)+1)
		}
		if check.Cell, err = parseCell(strings.TrimSpace(list)); err != nil {
			return nil, nil, fmt.Errorf("check %d: %w", check.Number, err)
		}
		problems = append(problems, check.cover(tests)...)
		checks = append(checks, check)
	}
	if len(checks) != checkCount {
		return nil, nil, fmt.Errorf("%d checks, want %d", len(checks), checkCount)
	}
	return checks, problems, nil
}

func (c *Check) cover(tests *Tests) (problems []string) {
	for _, test := range c.Cell.Tests {
		versions, err := tests.Versions(test)
		if err != nil {
			problems = append(problems, fmt.Sprintf("check %d: %v", c.Number, err))
		}
		if prefix := fmt.Sprintf("TestCheck%02d_", c.Number); !strings.HasPrefix(test.Name, prefix) {
			problems = append(problems, fmt.Sprintf("check %d: %s does not begin with %s", c.Number, test.Name, prefix))
		}
		c.Covered = append(c.Covered, versions...)
	}
	return problems
}
