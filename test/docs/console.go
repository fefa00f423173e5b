package docs

import "strings"

// Command is a command line shown in a document, with what it is said to print.
type Command struct {
	// Line is the line of the command in the document.
	Line   int
	Text   string
	Output string
}

// Commands returns the commands of the console blocks of a document: the lines that begin with "$ ", each with the lines
// up to the next one.
func Commands(text string) []Command {
	var found []Command
	console := false
	for i, line := range strings.Split(text, "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, fence):
			console = line == fence+"console"
		case !console:
		case isCommand:
			found = append(found, Command{Line: i + 1, Text: command})
		case len(found) > 0:
			found[len(found)-1].Output += line + "\n"
		}
	}
	return found
}
