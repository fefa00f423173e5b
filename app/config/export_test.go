package config

// The file format, for tests and fuzzing without a file system.

// DotenvValues parses a file and returns its values, problems and warnings.
func DotenvValues(file string, data []byte) (map[string]string, []Problem, []Problem) {
	found := parseDotenv(file, data)
	values := map[string]string{}
	for name, setting := range found.settings {
		values[name] = setting.value
	}
	return values, found.problems, found.warnings
}

// DotenvLine returns the line of a setting.
func DotenvLine(file string, data []byte, name string) int {
	return parseDotenv(file, data).settings[name].origin.Line
}

// SecretEntry is the entry and the problem that a secret variable would make.
func SecretEntry(name, text string) (Entry, Problem) {
	l := newLoader(Source{}, origins{})
	l.values[name] = value{text: text, set: true}
	variable := l.byName[name]
	variable.Secret = true
	return l.entry(variable), l.mistake(variable, text, "wrong")
}

// Nearest is the suggestion for a mistyped name.
func Nearest(name string, candidates []string) string { return nearest(name, candidates) }

// ZoneNames is the embedded list.
func ZoneNames() string { return zoneNames }
