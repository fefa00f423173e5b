package parity

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

var linkPattern = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)

// Links checks that the relative links of the documents lead to files of the tree and, in Markdown, to headings
// that exist. Links with a scheme are left alone: nothing here goes to the network.
func Links(tree fs.FS, documents []string) ([]Problem, error) {
	var problems []Problem
	for _, name := range documents {
		document, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, err
		}
		for _, l := range textLines(string(document)) {
			if l.fenced {
				continue
			}
			for _, link := range linkPattern.FindAllStringSubmatch(codeSpan.ReplaceAllString(l.text, ""), -1) {
				if text := brokenLink(tree, name, link[1]); text != "" {
					problems = append(problems, Problem{File: name, Line: l.number, Text: text})
				}
			}
		}
	}
	return problems, nil
}

// brokenLink says what is wrong with a link found in the document called name, or nothing.
func brokenLink(tree fs.FS, name, link string) string {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(link, "#")
	target := name
	if file != "" {
		target = path.Join(path.Dir(name), file)
	}
	if _, err := fs.Stat(tree, target); err != nil {
		return fmt.Sprintf("link to %s: no such file", link)
	}
	if anchor == "" || path.Ext(target) != ".md" {
		return ""
	}
	document, err := fs.ReadFile(tree, target)
	if err != nil || !slugs(string(document))[anchor] {
		return fmt.Sprintf("link to %s: no such heading", link)
	}
	return ""
}
