package parity

import (
	"fmt"
	"io/fs"
	"regexp"
)

// What a published document must not hold: paths of one machine and unfinished places.
var unwanted = regexp.MustCompile(`(?:^|[\s"'(=` + "`" + `])(/(?:work|root|home|Users|workspace)/\S*|TODO|FIXME|TBD|XXX)`)

// Wording reports paths of one machine and unfinished places in the documents.
func Wording(tree fs.FS, documents []string) ([]Problem, error) {
	var problems []Problem
	for _, name := range documents {
		document, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, err
		}
		for _, l := range textLines(string(document)) {
			for _, hit := range unwanted.FindAllStringSubmatch(l.text, -1) {
				problems = append(problems, Problem{name, l.number, fmt.Sprintf("%q does not belong in the documentation", hit[1])})
			}
		}
	}
	return problems, nil
}
