package bullmqtable

import (
	"fmt"
	"slices"
)

// Line is a row of the table with its proof.
type Line struct {
	Row
	Cells [ways]Cell
	// Covered are the versions that the tests of each way run against.
	Covered [ways][]string
}

// Proved tells whether the row is shared, as shown by tests: Takt lacks
// nothing of it, and each version that has it is covered by each way that
// exists.
func (l *Line) Proved() bool {
	tested := false
	for way, cell := range l.Cells {
		if cell.Missing {
			return false
		}
		if len(cell.Tests) == 0 {
			continue
		}
		tested = true
		for _, version := range l.Versions {
			if !slices.Contains(l.Covered[way], version) {
				return false
			}
		}
	}
	return tested
}

// BothWays tells whether there are tests of each way.
func (l *Line) BothWays() bool {
	return !slices.ContainsFunc(l.Cells[:], func(c Cell) bool { return len(c.Tests) == 0 })
}

// Table joins rows with their proofs. The problems are rows without a proof,
// proofs without a row, and proofs that name no test.
func Table(rows []Row, proofs Proofs, tests *Tests) (lines []Line, problems []string) {
	used := map[int]bool{}
	for _, row := range rows {
		proof := proofs.of(row)
		if proof == nil {
			problems = append(problems, fmt.Sprintf("%s has no proof", row.Name))
			continue
		}
		used[proof.Line] = true
		line := Line{Row: row, Cells: proof.Cells}
		for way, cell := range proof.Cells {
			for _, test := range cell.Tests {
				versions, err := tests.Versions(test)
				if err != nil {
					problems = append(problems, fmt.Sprintf("%s: %v", row.Name, err))
				}
				line.Covered[way] = append(line.Covered[way], versions...)
			}
		}
		lines = append(lines, line)
	}
	for _, proof := range proofs {
		if !used[proof.Line] {
			problems = append(problems, fmt.Sprintf("line %d: %s is not in BullMQ", proof.Line, proof.Name))
		}
	}
	return lines, problems
}
