package config

import "strings"

// warnOfIgnored warns once of the parts of the same place that an address makes
// useless.
func (l *loader) warnOfIgnored(address string, parts ...string) {
	var ignored []string
	for _, name := range parts {
		if l.values[name].set {
			ignored = append(ignored, name)
		}
	}
	if len(ignored) > 0 {
		l.warnings = append(l.warnings, Problem{
			Variable: address, Origin: l.values[address].origin,
			What: "wins over " + andList(ignored) + ", which " + plural(len(ignored), "is", "are") + " ignored",
		})
	}
}

// warnOfBlanks points at what is most often a slip, and is kept all the same.
func (l *loader) warnOfBlanks(names ...string) {
	for _, name := range names {
		if text := l.values[name].text; text != strings.TrimSpace(text) {
			l.warnings = append(l.warnings, Problem{
				Variable: name, Origin: l.values[name].origin, Got: mask,
				What: "blank before or after the value, which is taken as part of it",
			})
		}
	}
}

// warnOfOtherOrigins warns when the variables of a group that tell the place
// fall back to their defaults although a place of lower rank has one.
func (l *loader) warnOfOtherOrigins(group []string, places ...string) {
	var decided string
	for _, name := range places {
		if l.values[name].set {
			return
		}
	}
	for _, name := range group {
		if l.values[name].set && decided == "" {
			decided = name
		}
	}
	for _, name := range places {
		if left, subject, ok := l.places.leftOut(name); ok && decided != "" {
			l.warnings = append(l.warnings, Problem{
				Variable: name, Origin: left.origin, Got: mask,
				What: "ignored: where " + subject + " is comes as a whole from the place that sets " + decided +
					" (" + l.values[decided].origin.String() + ")",
				Expected: "the address in the same place",
			})
		}
	}
}
