package config

import (
	"slices"
	"strings"
)

// setting is one value with its origin.
type setting struct {
	value  string
	origin Origin
}

// dotenv is what a file says: the settings, and what is wrong with it.
type dotenv struct {
	settings map[string]setting
	problems []Problem
	warnings []Problem
}

// parseDotenv reads the language of npm's dotenv: `export`, three kinds of
// quotes that may span lines, \n and \r in double quotes, comments, and the
// last of equal names. Nothing is expanded or run. Lines that npm would skip or
// guess at are problems; no problem repeats any part of a value.
func parseDotenv(file string, data []byte) dotenv {
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	parser := dotenvParser{file: file, rest: text, line: 1, found: dotenv{settings: map[string]setting{}}}
	for parser.rest != "" {
		parser.statement()
	}
	return parser.found
}

// dotenvParser stands at the beginning of a line between statements.
type dotenvParser struct {
	file  string
	rest  string
	line  int
	found dotenv
}

func (p *dotenvParser) statement() {
	line, _, _ := strings.Cut(p.rest, "\n")
	content := strings.TrimSpace(line)
	if content == "" || content[0] == '#' {
		p.advance(len(line))
		return
	}
	name, start := assignment(line)
	switch {
	case strings.Contains(line, "\x00"):
		p.problem("a NUL byte")
		p.advance(len(line))
	case name == "":
		p.problem("not a setting")
		p.advance(len(line))
	case start < len(line) && strings.ContainsRune("'\"`", rune(line[start])):
		p.quotedValue(name, start, len(line))
	default:
		p.plainValue(name, line[start:])
		p.advance(len(line))
	}
}

// assignment finds the name and where the value begins, or "" if the line sets nothing.
func assignment(line string) (name string, start int) {
	const blanks = " \t"
	body := strings.TrimLeft(line, blanks)
	if after, exported := strings.CutPrefix(body, "export"); exported && strings.TrimLeft(after, blanks) != after {
		body = strings.TrimLeft(after, blanks)
	}
	end := strings.IndexFunc(body, func(r rune) bool { return !nameCharacter(r) })
	if end <= 0 {
		return "", 0
	}
	tail := body[end:]
	value := strings.TrimLeft(tail, blanks)
	switch {
	case strings.HasPrefix(value, "="):
		value = value[1:]
	case strings.HasPrefix(tail, ": ") || strings.HasPrefix(tail, ":\t"):
		value = tail[1:]
	default:
		return "", 0
	}
	return body[:end], len(line) - len(strings.TrimLeft(value, blanks))
}

func nameCharacter(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-'
}

func (p *dotenvParser) plainValue(name, text string) {
	value, _, commented := strings.Cut(text, "#")
	if commented && strings.TrimRight(value, " \t") == value {
		p.warn(name, "the value ends at the # character; put it in quotes if it belongs to the value")
	}
	p.set(name, strings.TrimSpace(value))
}

// quotedValue reads the value whose opening quote is at start; lineEnd is the
// end of the quote's line.
func (p *dotenvParser) quotedValue(name string, start, lineEnd int) {
	quote := p.rest[start]
	closing, next := closingQuote(p.rest, start)
	if closing < 0 {
		p.problem("the quote opened here is not closed at the end of a line")
		if another := strings.IndexByte(p.rest[start+1:lineEnd], quote); another >= 0 {
			p.advance(lineEnd)
			return
		}
		// What follows may be the inside of the value: reading on would only add noise.
		p.rest = ""
		return
	}
	value := p.rest[start+1 : closing]
	if strings.Contains(value, "\x00") {
		p.problem("a NUL byte")
	}
	if quote == '"' {
		value = strings.ReplaceAll(strings.ReplaceAll(value, `\n`, "\n"), `\r`, "\r")
	}
	p.set(name, value)
	p.advance(next)
}

// closingQuote finds the quote that ends the value, and the end of its line. A
// quote after a backslash belongs to the value, unless only so the value ends.
// It returns -1 if no quote is followed by the end of a line or a comment.
func closingQuote(text string, open int) (closing, next int) {
	var escaped []int
	at := open + 1
	for ; at < len(text) && text[at] != text[open]; at++ {
		if text[at] == '\\' && at+1 < len(text) && text[at+1] == text[open] {
			at++
			escaped = append(escaped, at)
		}
	}
	candidates := escaped
	if at < len(text) {
		candidates = append(candidates, at)
	}
	for _, candidate := range slices.Backward(candidates) {
		after, _, _ := strings.Cut(text[candidate+1:], "\n")
		if trimmed := strings.TrimSpace(after); trimmed == "" || trimmed[0] == '#' {
			return candidate, candidate + 1 + len(after)
		}
	}
	return -1, 0
}

func (p *dotenvParser) set(name, value string) {
	if before, twice := p.found.settings[name]; twice {
		p.warn(name, "set before in "+before.origin.String()+"; this one counts")
	}
	p.found.settings[name] = setting{value: value, origin: p.origin()}
}

// advance moves past the given number of bytes and the line feed after them.
func (p *dotenvParser) advance(length int) {
	p.line += strings.Count(p.rest[:length], "\n") + 1
	p.rest = strings.TrimPrefix(p.rest[length:], "\n")
}

func (p *dotenvParser) origin() Origin {
	return Origin{Kind: FromFile, File: p.file, Line: p.line}
}

func (p *dotenvParser) warn(name, what string) {
	p.found.warnings = append(p.found.warnings, Problem{Variable: name, Origin: p.origin(), What: what})
}

func (p *dotenvParser) problem(what string) {
	p.found.problems = append(p.found.problems, Problem{
		Variable: p.origin().String(),
		Origin:   p.origin(),
		What:     what,
		Got:      mask,
		Expected: "NAME=value, the value plain or in one pair of quotes",
		Example:  `NAME="two words"`,
	})
}
