package bullmqtable

import (
	"regexp"
	"strings"
)

var comments = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)

// plain returns the source of a declaration file without its comments.
func plain(source string) string { return comments.ReplaceAllString(source, "") }

// scanner walks over a text and knows how deep in brackets it is.
type scanner struct {
	text  string
	at    int
	depth int
}

// next moves over one character and returns it; a string literal counts as
// one character, a quote.
func (s *scanner) next() byte {
	c := s.text[s.at]
	s.at++
	switch c {
	case '(', '[', '{', '<':
		s.depth++
	case ')', ']', '}':
		s.depth--
	case '>':
		if s.at < 2 || s.text[s.at-2] != '=' { // no arrow
			s.depth--
		}
	case '\'', '"', '`':
		s.skipString(c)
	}
	return c
}

func (s *scanner) skipString(quote byte) {
	for s.at < len(s.text) && s.text[s.at] != quote {
		s.at++
	}
	s.at++
}

// split cuts the text at the separators that stand outside of all brackets,
// and leaves out what is empty.
func split(text, separators string) []string {
	var parts []string
	for text != "" {
		var part string
		part, text = until(text, separators)
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// until returns the text before and after the first of the ends outside of
// all brackets. Without an end, all is before it.
func until(text, ends string) (before, after string) {
	s := scanner{text: text}
	for s.at < len(s.text) {
		outside := s.depth == 0
		start := s.at
		if c := s.next(); outside && strings.IndexByte(ends, c) >= 0 {
			return text[:start], text[s.at:]
		}
	}
	return text, ""
}

// block returns the inside of the braces that the text begins in, and what
// follows them.
func block(text string) (inside, after string) {
	s := scanner{text: text, depth: 1}
	for s.at < len(s.text) {
		if s.next(); s.depth == 0 {
			return text[:s.at-1], text[s.at:]
		}
	}
	return text, ""
}
