package config

import (
	"maps"
	"slices"
	"strings"
)

// Entry is one line of the resolved configuration.
type Entry struct {
	// Name is the variable's name.
	Name string `json:"name"`
	// Value is what counts; secrets and everything unused are masked.
	Value string `json:"value"`
	// Default is the value of a variable that nobody set.
	Default string `json:"default"`
	// Origin is where the value came from.
	Origin Origin `json:"origin"`
	// Description says what the variable does.
	Description string `json:"description"`
	// Secret values are masked.
	Secret bool `json:"secret,omitempty"`
	// Bad values are mistakes; Value is then what was set, quoted.
	Bad bool `json:"bad,omitempty"`
	// Unused variables are set, but this version does not know them.
	Unused bool `json:"unused,omitempty"`
}

// Entries is the resolved configuration: every variable in the order of
// Variables, then what was set and is not used, sorted by name. The caller owns
// the slice.
func (c *Config) Entries() []Entry { return slices.Clone(c.entries) }

// Origin is where the value of a variable came from. A name that is no variable
// has the origin of a default.
func (c *Config) Origin(name string) Origin {
	for _, entry := range c.entries {
		if entry.Name == name {
			return entry.Origin
		}
	}
	return Origin{}
}

func (l *loader) entries(config *Config) []Entry {
	l.settle(nameLedger, string(config.Queue.Ledger))
	var all []Entry
	for _, variable := range l.table {
		all = append(all, l.entry(variable))
	}
	for _, name := range l.unused() {
		found, _ := l.places.find(name)
		all = append(all, Entry{
			Name:        shownName(name),
			Value:       mask,
			Origin:      found.origin,
			Description: "Not used by this version.",
			Secret:      true,
			Unused:      true,
		})
	}
	return all
}

// settle shows what a variable came to mean in place of what was written.
func (l *loader) settle(name, text string) {
	found := l.values[name]
	found.text = text
	l.values[name] = found
}

func (l *loader) entry(variable Variable) Entry {
	found := l.values[variable.Name]
	text := found.text
	switch display, redact := variable.rule.display, variable.rule.redact; {
	case variable.Secret && text != "" && redact != nil:
		text = redact(text)
	case variable.Secret && text != "":
		text = mask
	case display != nil:
		text = display(text)
	}
	return Entry{
		Name:        variable.Name,
		Value:       text,
		Default:     variable.Default,
		Origin:      found.origin,
		Description: variable.Description,
		Secret:      variable.Secret,
	}
}

// unused are the sorted WORKER_ names that are set and that nothing reads.
func (l *loader) unused() []string {
	names := map[string]bool{}
	for _, place := range l.places.ranked {
		for name := range place {
			if l.isUnknown(name) {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (l *loader) isUnknown(name string) bool {
	_, known := l.byName[name]
	return strings.HasPrefix(name, "WORKER_") && !known
}

// unknown has one warning for each WORKER_ name that nothing reads: most often a
// slip of the pen, sometimes a name that an orchestrator injects.
func (l *loader) unknown() []Problem {
	var known []string
	for _, variable := range l.table {
		known = append(known, variable.Name)
	}
	var found []Problem
	for _, name := range l.unused() {
		if !l.isUnknown(name) {
			continue
		}
		set, _ := l.places.find(name)
		problem := Problem{
			Variable: shownName(name), Origin: set.origin, What: "unknown variable", Got: mask,
			Expected: "a variable of this version", unknown: true,
		}
		if near := nearest(name, known); near != "" {
			problem.What += ", the nearest is " + near
			problem.Example = near
		}
		found = append(found, problem)
	}
	return found
}

func (l *loader) warnOfStrayOverride() {
	for _, place := range l.places.ranked {
		if found, ok := place[nameDotenvOverride]; ok && found.origin.Kind == FromFile {
			l.warnings = append(l.warnings, Problem{
				Variable: nameDotenvOverride, Origin: found.origin,
				What: "ignored: only the process environment can set it",
			})
		}
	}
}

// shownName keeps foreign names short and free of terminal escapes.
func shownName(name string) string {
	if printable(name) && len(name) <= gotLimit {
		return name
	}
	return quoted(name)
}
