package redisqueue

import (
	"fmt"
	"regexp"
	"strings"
)

// Redis runs a script from its first line each time, and every function that a
// call makes costs as much as a small command. A script therefore names the
// functions that most of its calls need, in lines "-- @hot FIRST SECOND ...", and
// its others are made together when the first of them is called.

var (
	hotLine      = regexp.MustCompile(`(?m)^-- @hot ([a-z_ ]+)$`)
	functionLine = regexp.MustCompile(`^local function ([a-z_]+)\(`)
	// luaToken matches what names are not looked for in, and names with what
	// is before them.
	luaToken = regexp.MustCompile(`--[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|[.:]?\b[A-Za-z_][A-Za-z0-9_]*\b`)
)

// luaPart is a function at the top level of a script, or the lines between two.
type luaPart struct {
	name string
	text string
}

// coolDown moves the functions that are not hot to where they are made on
// demand. A script without hot functions stays as it is.
func coolDown(source string) (string, error) {
	hot := hotFunctions(source)
	if len(hot) == 0 {
		return source, nil
	}
	parts := splitLua(source)
	cold, last := map[string]bool{}, 0
	for i, part := range parts {
		if part.name == "" {
			continue
		}
		last = i
		if hot[part.name] {
			delete(hot, part.name)
		} else {
			cold[part.name] = true
		}
	}
	for name := range hot {
		return "", fmt.Errorf("there is no hot function %s", name)
	}
	var outside, warm, made strings.Builder
	for i, part := range parts {
		if cold[part.name] {
			made.WriteString(part.text)
		} else {
			constants, rest := hoist(reachCold(part.text, cold))
			outside.WriteString(constants)
			warm.WriteString(rest)
		}
		if i == last {
			warm.WriteString(coldBlock(made.String(), parts, cold))
		}
	}
	return outside.String() + "return (function()\nlocal cold\n" + warm.String() + "end)()\n", nil
}

// hotFunctions returns the functions that a script names as hot.
func hotFunctions(source string) map[string]bool {
	hot := map[string]bool{}
	for _, line := range hotLine.FindAllStringSubmatch(source, -1) {
		for name := range strings.FieldsSeq(line[1]) {
			hot[name] = true
		}
	}
	return hot
}

// constantLine is a line at the top level that needs nothing but literals and
// what Redis gives.
var constantLine = regexp.MustCompile(`(?m)^local [A-Za-z_, ]+ = (?:(?:-?\d+|'[^'\n]*'|"[^"\n]*"|redis\.p?call|string\.byte|ARGV|KEYS|unpack|tonumber)(?:, |\n))+`)

// hoist takes the constants out of the text. A function that uses a variable of
// the function around it is made faster the fewer such variables there are;
// those from further out do not count.
func hoist(text string) (constants, rest string) {
	return strings.Join(constantLine.FindAllString(text, -1), ""), constantLine.ReplaceAllString(text, "")
}

// coldBlock makes the functions of the text when one of them is asked for.
func coldBlock(text string, parts []luaPart, cold map[string]bool) string {
	var block strings.Builder
	block.WriteString("cold = setmetatable({}, { __index = function(made, wanted)\n" + text)
	for _, part := range parts {
		if cold[part.name] {
			fmt.Fprintf(&block, "made.%s = %s\n", part.name, part.name)
		}
	}
	block.WriteString("return rawget(made, wanted)\nend })\n")
	return block.String()
}

// splitLua splits a script at the functions of its top level. Each ends with
// the next line that is "end".
func splitLua(source string) []luaPart {
	var parts []luaPart
	var current luaPart
	flush := func(next string) {
		if current.text != "" {
			parts = append(parts, current)
		}
		current = luaPart{name: next}
	}
	for line := range strings.Lines(source) {
		if match := functionLine.FindStringSubmatch(line); match != nil {
			flush(match[1])
		}
		current.text += line
		if current.name != "" && strings.TrimSpace(line) == "end" && strings.HasPrefix(line, "end") {
			flush("")
		}
	}
	flush("")
	return parts
}

// reachCold writes the names of cold functions as fields of the table that
// makes them. A variable of the same name becomes an error of Lua's syntax.
func reachCold(text string, cold map[string]bool) string {
	return luaToken.ReplaceAllStringFunc(text, func(token string) string {
		if cold[token] {
			return "cold." + token
		}
		return token
	})
}
