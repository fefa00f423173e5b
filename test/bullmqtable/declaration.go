package bullmqtable

import (
	"regexp"
	"slices"
	"strings"
)

// Member is a public member of a class, an interface or an object type.
type Member struct {
	Name string
	// Type is what stands behind the colon; "" for methods.
	Type   string
	Method bool
}

// base is a type whose members another one has, too, but for some.
type base struct {
	name    string
	without []string
}

// declaration is what a name of a declaration file stands for. A union has
// the members of all its parts.
type declaration struct {
	bases   []base
	members []Member
}

var (
	header = regexp.MustCompile(`(?m)^(?:export )?(?:declare )?(?:abstract )?(class|interface|type) (\w+)`)
	// hidden members are no part of what users call.
	hidden  = regexp.MustCompile(`^(?:static |readonly |abstract )*(?:private|protected)\b`)
	naming  = regexp.MustCompile(`^(?:(?:public|static|readonly|abstract|declare|get|set) )*('[^']+'|[A-Za-z_$][\w$]*)\??(\(|<|:|$)`)
	omitted = regexp.MustCompile(`^Omit<(.*),\s*((?:'\w+'(?:\s*\|\s*)?)+)>$`)
	literal = regexp.MustCompile(`'(\w+)'`)
	naked   = regexp.MustCompile(`^\w+`)
)

// declarations reads all declarations of a file.
func declarations(source string) map[string]declaration {
	source = plain(source)
	found := map[string]declaration{}
	for _, at := range header.FindAllStringSubmatchIndex(source, -1) {
		kind, name, rest := source[at[2]:at[3]], source[at[4]:at[5]], source[at[1]:]
		if kind == "type" {
			_, rest = until(rest, "=")
			text, _ := until(rest, ";")
			found[name] = typeOf(text)
			continue
		}
		heritage, body := until(rest, "{")
		inside, _ := block(body)
		found[name] = declaration{bases: basesOf(heritage), members: membersOf(inside)}
	}
	return found
}

// basesOf reads what stands between a name and its members.
func basesOf(heritage string) []base {
	var bases []base
	for _, word := range []string{"extends", "implements"} {
		_, list, found := strings.Cut(afterParameters(heritage), word+" ")
		if !found || word == "implements" {
			continue
		}
		list, _, _ = strings.Cut(list, " implements ")
		for _, part := range split(list, ",") {
			bases = append(bases, baseOf(part))
		}
	}
	return bases
}

// afterParameters skips the type parameters that follow a name.
func afterParameters(text string) string {
	if !strings.HasPrefix(text, "<") {
		return text
	}
	_, after := block(text[1:])
	return after
}

func baseOf(text string) base {
	text = strings.TrimSpace(text)
	if m := omitted.FindStringSubmatch(text); m != nil {
		b := baseOf(m[1])
		for _, name := range literal.FindAllStringSubmatch(m[2], -1) {
			b.without = append(b.without, name[1])
		}
		return b
	}
	return base{name: naked.FindString(text)}
}

// typeOf reads the right side of a type alias.
func typeOf(text string) declaration {
	var d declaration
	for _, alternative := range split(text, "|") {
		for _, part := range split(alternative, "&") {
			if body, isObject := strings.CutPrefix(strings.TrimSpace(part), "{"); isObject {
				inside, _ := block(body)
				d.members = join(d.members, membersOf(inside))
			} else {
				d.bases = append(d.bases, baseOf(part))
			}
		}
	}
	return d
}

// membersOf reads the inside of a class or an interface. Overloads count once.
func membersOf(inside string) []Member {
	var members []Member
	for _, text := range split(inside, ";\n") {
		if m, ok := memberOf(text); ok {
			members = join(members, []Member{m})
		}
	}
	return members
}

// join adds those of the others whose names are new.
func join(members, others []Member, without ...string) []Member {
	for _, m := range others {
		known := slices.ContainsFunc(members, func(other Member) bool { return other.Name == m.Name })
		if !known && !slices.Contains(without, m.Name) {
			members = append(members, m)
		}
	}
	return members
}

func memberOf(text string) (Member, bool) {
	parts := naming.FindStringSubmatch(text)
	if parts == nil || hidden.MatchString(text) || parts[1] == "constructor" || strings.HasPrefix(parts[1], "_") {
		return Member{}, false
	}
	m := Member{Name: strings.Trim(parts[1], "'"), Method: parts[2] == "(" || parts[2] == "<"}
	if accessor := strings.HasPrefix(text, "get ") || strings.HasPrefix(text, "set "); accessor {
		m.Method = false
	}
	if !m.Method {
		_, m.Type = until(text, ":")
		m.Type = strings.TrimSpace(m.Type)
	}
	return m, true
}
