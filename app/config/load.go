package config

import (
	"context"
	"slices"

	"github.com/sethvargo/go-envconfig"
)

// CronCheck judges a cron expression in a zone; its error says what is wrong
// with the expression.
type CronCheck func(expression, zone string) error

// Option changes how Load checks.
type Option func(*loader)

// WithCronCheck has cron expressions judged by the parser that will run them.
// Without it only their outer shape is checked.
func WithCronCheck(check CronCheck) Option {
	return func(l *loader) { l.checkCron = check }
}

// WithoutStorage is for who opens no storage: there need be no place for the
// worker's own file. The place is empty then.
func WithoutStorage() Option {
	return func(l *loader) { l.storageless = true }
}

// Load reads and checks everything. The configuration is nil if the report has
// a problem, and usable otherwise. Load reads the two files of the source, and
// those of certificates if it needs them, and nothing else; it blocks on no
// pipe and changes nothing. For equal sources and files the report is equal.
func Load(source Source, options ...Option) (*Config, Report) {
	loaded, report := read(source, options)
	if len(report.Problems) > 0 {
		return nil, report
	}
	return loaded, report
}

// LoadPart is [Load] for who needs some variables alone: mistakes in others are
// warnings, and their defaults count. Mistakes in the files stay problems: what
// was meant there nobody knows.
func LoadPart(source Source, names []string, options ...Option) (*Config, Report) {
	if !slices.Contains(names, nameDataDir) {
		options = append(slices.Clip(options), WithoutStorage())
	}
	loaded, all := read(source, options)
	part := Report{}
	for _, problem := range all.Problems {
		if isVariable(problem.Variable) && !slices.Contains(names, problem.Variable) {
			part.Warnings = append(part.Warnings, problem)
		} else {
			part.Problems = append(part.Problems, problem)
		}
	}
	if len(part.Problems) > 0 {
		return nil, part
	}
	return loaded, part
}

// Inspect is what Load would read, to be shown: every entry also when there are
// mistakes. Entries with a mistake are marked, and show what was set.
func Inspect(source Source, options ...Option) ([]Entry, Report) {
	loaded, report := read(source, options)
	entries := loaded.entries
	for i := range entries {
		for _, problem := range report.Problems {
			if problem.Variable == entries[i].Name {
				entries[i].Bad, entries[i].Value = true, problem.Got
			}
		}
	}
	return entries, report
}

func isVariable(name string) bool {
	return slices.ContainsFunc(Variables(), func(v Variable) bool { return v.Name == name })
}

// read reads and checks everything. With problems, defaults stand in for what is
// wrong.
func read(source Source, options []Option) (*Config, Report) {
	places, report := source.rank()
	loading := newLoader(source, places)
	for _, option := range options {
		option(loading)
	}
	target := loading.decode()
	loading.crossCheck(&target)
	loading.warnOfStrayOverride()

	report.Problems = append(report.Problems, loading.sorted(loading.problems)...)
	report.Warnings = append(report.Warnings, loading.sorted(loading.warnings)...)
	report.Warnings = append(report.Warnings, loading.unknown()...)
	target.Config.entries = loading.entries(&target.Config)
	return &target.Config, report
}

// value is what was found for one variable.
type value struct {
	// text is the canonical spelling, that of the default if the value is bad.
	text   string
	origin Origin
	// set is true if some place has a value, good or bad.
	set bool
	bad bool
}

// loader feeds go-envconfig, which walks the fields and decodes what Lookup
// returns: a variable's value in the spelling that decodes. A bad value becomes
// a problem and the default takes its place, so that one walk meets every
// problem and ends without an error.
type loader struct {
	source    Source
	places    origins
	checkCron CronCheck
	// storageless tells that nobody opens the worker's own file.
	storageless bool
	table       []Variable
	byName      map[string]Variable
	values      map[string]value
	problems    []Problem
	warnings    []Problem
}

func newLoader(source Source, places origins) *loader {
	l := &loader{
		source:    source,
		places:    places,
		checkCron: func(string, string) error { return nil },
		table:     Variables(),
		byName:    map[string]Variable{},
		values:    map[string]value{},
	}
	for _, variable := range l.table {
		l.byName[variable.Name] = variable
	}
	return l
}

// decode panics if the table and the fields disagree: a bug that no input causes.
func (l *loader) decode() decoded {
	var target decoded
	err := envconfig.ProcessWith(context.Background(), &envconfig.Config{
		Target:   &target,
		Lookuper: l,
	})
	if err != nil {
		panic("config: the table and the fields disagree: " + err.Error())
	}
	return target
}

// Lookup answers go-envconfig: the value of the highest rank, or the default,
// checked and in its canonical spelling.
func (l *loader) Lookup(name string) (string, bool) {
	text, found := l.choose(name)
	if text == "" {
		l.values[name] = found
		return "", false
	}
	variable := l.byName[name]
	canonical, err := variable.rule.canonical(text)
	if err != nil {
		found.bad = true
		canonical = l.canonicalDefault(variable)
	}
	found.text = canonical
	l.values[name] = found
	if err != nil {
		l.report(l.mistake(variable, text, err.Error()))
	}
	return canonical, true
}

// choose finds what counts, unchecked. An empty text means that there is nothing.
func (l *loader) choose(name string) (string, value) {
	if found, ok := l.places.find(name); ok && found.value != "" {
		return found.value, value{origin: found.origin, set: true}
	}
	text, origin := l.defaultOf(name)
	return text, value{origin: origin}
}

// canonicalDefault stands in for a bad value. A default found at run time is
// replaced by the example: the result is only used to go on checking.
func (l *loader) canonicalDefault(variable Variable) string {
	text := variable.Default
	if text == "" || variable.derived {
		text = variable.Example
	}
	canonical, err := variable.rule.canonical(text)
	if err != nil {
		panic("config: default of " + variable.Name + " breaks its rule: " + err.Error())
	}
	return canonical
}

func (l *loader) mistake(variable Variable, text, what string) Problem {
	got := quoted(text)
	if variable.Secret {
		got = mask
	}
	return Problem{
		Variable: variable.Name,
		Origin:   l.values[variable.Name].origin,
		What:     what,
		Got:      got,
		Expected: variable.rule.expected,
		Example:  variable.Example,
	}
}

// sorted puts problems into the order of the table, as the walk follows the fields.
func (l *loader) sorted(problems []Problem) []Problem {
	place := func(name string) int {
		return slices.IndexFunc(l.table, func(v Variable) bool { return v.Name == name })
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return place(a.Variable) - place(b.Variable) })
	return problems
}
