package bullmqtable

import (
	"fmt"
	"path"
	"strings"
)

// Ways in which a row can be shared.
const (
	// ByNode is Node's use of the row on what Takt produced or works.
	ByNode = iota
	// ByTakt is Takt's use of the row on what Node produced or works.
	ByTakt

	ways
)

// Cell says how one way of a row is proved: by tests, or why it is not.
type Cell struct {
	Tests []TestName
	// Reason is set instead of tests.
	Reason string
	// Missing tells that Takt lacks the row; else the way does not exist.
	Missing bool
}

// TestName names a test: the directory of its package and its function.
type TestName struct{ Dir, Name string }

// String gives the name as `path TestName`, without the path for tests of interop.
func (n TestName) String() string {
	if n.Dir == interopDir {
		return n.Name
	}
	return n.Dir + " " + n.Name
}

// Proof is the line of the list of proofs that stands for a row.
type Proof struct {
	Line int
	// Name is that of a row, or a pattern of [path.Match] that several rows match.
	Name  string
	Cells [ways]Cell
}

// Proofs is the list kept by hand.
type Proofs []Proof

// ParseProofs reads a list of proofs: a line a row, "NAME | by Node | by Takt".
// Each of the two is a comma-separated list of tests; "=" for the same as the
// other one; "no: REASON" where Takt has no such thing; "none: REASON" where
// there is nothing to do that way. Lines that begin with # are comments.
func ParseProofs(text string) (Proofs, error) {
	var proofs Proofs
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		proof, err := parseProof(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		proof.Line = i + 1
		proofs = append(proofs, proof)
	}
	return proofs, nil
}

func parseProof(line string) (Proof, error) {
	columns := strings.Split(line, "|")
	if len(columns) != 1+ways {
		return Proof{}, fmt.Errorf("%d columns, want %d: %s", len(columns), 1+ways, line)
	}
	proof := Proof{Name: strings.TrimSpace(columns[0])}
	for way := range proof.Cells {
		text := strings.TrimSpace(columns[1+way])
		if text == "=" {
			text = strings.TrimSpace(columns[ways-way])
		}
		cell, err := parseCell(text)
		if err != nil {
			return Proof{}, fmt.Errorf("%s: %w", proof.Name, err)
		}
		proof.Cells[way] = cell
	}
	return proof, nil
}

func parseCell(text string) (Cell, error) {
	for prefix, missing := range map[string]bool{"no:": true, "none:": false} {
		if reason, found := strings.CutPrefix(text, prefix); found {
			return Cell{Reason: strings.TrimSpace(reason), Missing: missing}, nil
		}
	}
	var cell Cell
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		switch {
		case len(words) == 1 && isTest(words[0]):
			cell.Tests = append(cell.Tests, TestName{interopDir, words[0]})
		case len(words) == 2 && isTest(words[1]):
			cell.Tests = append(cell.Tests, TestName{words[0], words[1]})
		default:
			return Cell{}, fmt.Errorf("%q is neither a test nor a reason", text)
		}
	}
	return cell, nil
}

// of returns the proof of the row: the one of its name, or else that of the
// first pattern that matches it.
func (p Proofs) of(row Row) *Proof {
	var found *Proof
	for i := range p {
		if p[i].Name == row.Name {
			return &p[i]
		}
		if matches, _ := path.Match(p[i].Name, row.Name); matches && found == nil {
			found = &p[i]
		}
	}
	return found
}
