package parity

import "strings"

// row is one line of a Markdown table: its cells without the outer bars, trimmed.
type row struct {
	line  int
	cells []string
}

// table is a Markdown table with the heading it stands under.
type table struct {
	heading string
	header  []string
	rows    []row
}

// tables finds the Markdown tables of a document, in order.
func tables(document string) []table {
	var found []table
	heading, inside := "", false
	for i, text := range strings.Split(document, "\n") {
		text = strings.TrimSpace(text)
		switch {
		case strings.HasPrefix(text, "#"):
			heading, inside = strings.TrimSpace(strings.TrimLeft(text, "#")), false
		case !strings.HasPrefix(text, "|"):
			inside = false
		case !inside:
			found = append(found, table{heading: heading, header: cells(text)})
			inside = true
		case strings.Trim(text, "|-: ") == "": // the rule below the header
		default:
			last := &found[len(found)-1]
			last.rows = append(last.rows, row{line: i + 1, cells: cells(text)})
		}
	}
	return found
}

// cells splits a table line at its bars; a bar written \| belongs to the text.
func cells(text string) []string {
	const bar = "\x00"
	text = strings.ReplaceAll(text, `\|`, bar)
	parts := strings.Split(strings.Trim(text, "|"), "|")
	for i, part := range parts {
		parts[i] = strings.TrimSpace(strings.ReplaceAll(part, bar, "|"))
	}
	return parts
}
