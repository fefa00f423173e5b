package bullmqtable

import (
	"fmt"
	"slices"
	"strings"

	"github.com/taktwork/takt/test/interop/node"
)

// Page returns the table as a document: the counts, then the rows by class,
// then the checks by number.
func Page(lines []Line, checks []Check) string {
	var out strings.Builder
	out.WriteString(preface)
	writeCounts(&out, lines)
	out.WriteString(legend)
	writeMissing(&out, lines)
	section, subject := "", ""
	for _, line := range lines {
		if line.Section != section {
			section = line.Section
			fmt.Fprintf(&out, "\n## %s\n", section)
		}
		if of, _, _ := strings.Cut(line.Name, "."); of != subject {
			subject = of
			writeHeader(&out, subject)
		}
		writeLine(&out, line)
	}
	writeChecks(&out, checks)
	return out.String()
}

const preface = `# What of BullMQ is shared

Every public method, property, option and event of BullMQ's classes, in the versions that Takt shares queues with, and
the tests that prove it. Made from the declarations of the installed packages and from ` + "`test/bullmqtable/proofs.txt`" + `:
` + "`make bullmq-table`" + ` writes this page, ` + "`make test`" + ` fails when it is stale, when a row has no entry, or when an entry names a
test that does not exist. What a queue in Redis is to Takt stands in [redis.md](redis.md).

`

const legend = `
* **Node's, on ours**: Node's method or option acts on what Takt produced or works. **Ours, on Node's**: Takt's counterpart
  acts on what Node produced or works, or Node reads what it did. Tests stand in ` + "`test/interop`" + ` unless a package is named.
* **Versions**: ` + "`yes`" + ` if a test of each way runs against that version (` + "`make interop`" + `), ` + "`half`" + ` if one way does not,
  ` + "`no`" + ` if neither does, – if the version has no such thing. It is read from the source of the tests.
* A row is proved if nothing of it is missing and each version that has it says ` + "`yes`" + `. Where a cell says – and why, that
  way does not exist: what belongs to a Node program alone has no counterpart.
`

// count is how many rows there are, and how they are proved.
type count struct{ rows, proved, bothWays int }

func (c *count) add(line *Line) {
	c.rows++
	if line.Proved() {
		c.proved++
		if line.BothWays() {
			c.bothWays++
		}
	}
}

func writeCounts(out *strings.Builder, lines []Line) {
	out.WriteString("| Class | Rows | Proved | | of these both ways |\n|---|---:|---:|---:|---:|\n")
	var sections []string
	counts, all := map[string]*count{}, &count{}
	for i := range lines {
		section := lines[i].Section
		if counts[section] == nil {
			sections = append(sections, section)
			counts[section] = &count{}
		}
		counts[section].add(&lines[i])
		all.add(&lines[i])
	}
	for _, section := range sections {
		writeCount(out, fmt.Sprintf("[%s](#%s)", section, strings.ToLower(section)), counts[section])
	}
	writeCount(out, "**All**", all)
}

func writeCount(out *strings.Builder, name string, c *count) {
	share := 100 * float64(c.proved) / float64(max(c.rows, 1))
	fmt.Fprintf(out, "| %s | %d | %d | %.1f %% | %d |\n", name, c.rows, c.proved, share, c.bothWays)
}

// writeMissing lists the rows that are not proved, so that nobody has to look
// for them.
func writeMissing(out *strings.Builder, lines []Line) {
	var names []string
	for _, line := range lines {
		if !line.Proved() {
			names = append(names, "`"+line.Name+"`")
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(out, "\nNot proved: %s.\n", strings.Join(names, ", "))
	}
}

func writeHeader(out *strings.Builder, subject string) {
	fmt.Fprintf(out, "\n### Members of %s\n\n| Row | Node's, on ours | Ours, on Node's |", subject)
	for _, version := range node.Versions() {
		fmt.Fprintf(out, " %s |", version)
	}
	out.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(node.Versions())) + "\n")
}

func writeLine(out *strings.Builder, line Line) {
	_, member, _ := strings.Cut(line.Name, ".")
	if line.Call {
		member += "()"
	}
	fmt.Fprintf(out, "| `%s` |", member)
	for _, cell := range line.Cells {
		out.WriteString(" " + cell.text() + " |")
	}
	for _, version := range node.Versions() {
		out.WriteString(" " + line.in(version) + " |")
	}
	out.WriteString("\n")
}

func (c Cell) text() string {
	if len(c.Tests) == 0 {
		reason := strings.ReplaceAll(c.Reason, "|", `\|`)
		if c.Missing {
			return "not supported: " + reason
		}
		return "– " + reason
	}
	names := make([]string, len(c.Tests))
	for i, test := range c.Tests {
		names[i] = "`" + test.String() + "`"
	}
	return strings.Join(names, ", ")
}

// in says how far the row is proved in a version.
func (l *Line) in(version string) string {
	if !slices.Contains(l.Versions, version) {
		return "–"
	}
	exist, covered := 0, 0
	for way, cell := range l.Cells {
		if len(cell.Tests) > 0 || cell.Missing {
			exist++
		}
		if slices.Contains(l.Covered[way], version) {
			covered++
		}
	}
	switch covered {
	case 0:
		return "no"
	case exist:
		return "yes"
	default:
		return "half"
	}
}

func writeChecks(out *strings.Builder, checks []Check) {
	out.WriteString("\n## Checks of the protocol\n\nBy number; – if the tests of a check run without the clients of these versions.\n\n| Check | Tests |")
	for _, version := range node.Versions() {
		fmt.Fprintf(out, " %s |", version)
	}
	out.WriteString("\n|---:|---|" + strings.Repeat("---|", len(node.Versions())) + "\n")
	for _, check := range checks {
		fmt.Fprintf(out, "| %d | %s |", check.Number, check.Cell.text())
		for _, version := range node.Versions() {
			said := "no"
			if slices.Contains(check.Covered, version) {
				said = "yes"
			} else if check.Alone() {
				said = "–"
			}
			fmt.Fprintf(out, " %s |", said)
		}
		out.WriteString("\n")
	}
}
