package parity

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// textLine is a line of a Markdown document that is prose, with its code spans, or a line of a fenced block.
type textLine struct {
	number int
	text   string
	fenced bool
}

// textLines splits a document into lines and tells which of them stand in a fenced block.
func textLines(document string) []textLine {
	var lines []textLine
	fenced := false
	for i, text := range strings.Split(document, "\n") {
		if strings.HasPrefix(strings.TrimSpace(text), "```") {
			fenced = !fenced
			continue
		}
		lines = append(lines, textLine{number: i + 1, text: text, fenced: fenced})
	}
	return lines
}

// Documents lists the Markdown files that users read: those at the top, below docs and below deploy.
func Documents(tree fs.FS) ([]string, error) {
	found, err := fs.Glob(tree, "*.md")
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"docs", "deploy"} {
		err := fs.WalkDir(tree, dir, func(name string, _ fs.DirEntry, err error) error {
			if err == nil && path.Ext(name) == ".md" {
				found = append(found, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

var (
	codeSpan   = regexp.MustCompile("`[^`]*`")
	notInSlugs = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// slugs gives the anchors that the headings of a document get.
func slugs(document string) map[string]bool {
	found := map[string]bool{}
	for _, l := range textLines(document) {
		if l.fenced || !strings.HasPrefix(l.text, "#") {
			continue
		}
		heading := strings.ToLower(strings.TrimSpace(strings.TrimLeft(l.text, "#")))
		found[strings.ReplaceAll(notInSlugs.ReplaceAllString(heading, ""), " ", "-")] = true
	}
	return found
}
