package docs

import "strings"

// Block is a fenced block of Go code of a document.
type Block struct {
	// Document is the path of the document, Line the line of its first line of code.
	Document string
	Line     int
	Code     string
}

const fence = "```"

// Blocks returns the blocks of Go code of the document, in order. A block may be indented, as in a list.
func Blocks(document, text string) []Block {
	var found []Block
	var code []string
	indent, language, open := "", "", false
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case open && strings.TrimSpace(line) == fence:
			open = false
			if language == "go" {
				found = append(found, Block{Document: document, Line: i + 1 - len(code), Code: strings.Join(code, "\n") + "\n"})
			}
		case open:
			code = append(code, strings.TrimPrefix(line, indent))
		case strings.HasPrefix(trimmed, fence):
			open, code = true, nil
			indent = line[:len(line)-len(trimmed)]
			language, _, _ = strings.Cut(strings.TrimPrefix(trimmed, fence), " ")
		}
	}
	return found
}
