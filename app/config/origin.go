package config

import "strconv"

// OriginKind is a class of places that a value can come from.
type OriginKind uint8

// The places, from the lowest rank to the highest. With
// WORKER_DOTENV_OVERRIDE=true `.env.local` ranks above the environment.
const (
	// FromDefault is the built-in default.
	FromDefault OriginKind = iota
	// FromFile is `.env` or `.env.local` in the working directory.
	FromFile
	// FromEnvironment is the process environment.
	FromEnvironment
)

// Origin is where a value came from. The zero value is the built-in default.
type Origin struct {
	// Kind is the class of place.
	Kind OriginKind
	// File is the file's name, for FromFile.
	File string
	// Line is the first line of the setting, counted from one, for FromFile.
	Line int
	// Via says why the place decided: the other variable that gave the value,
	// or why the default applies. Mostly empty.
	Via string
}

// String is "environment", "default" or "file:line", with the reason in
// parentheses if there is one.
func (o Origin) String() string {
	place := o.place()
	if o.Via == "" {
		return place
	}
	return place + " (" + o.Via + ")"
}

// MarshalText is String, so that JSON shows an origin as people read it.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

func (o Origin) place() string {
	switch o.Kind {
	case FromEnvironment:
		return "environment"
	case FromFile:
		if o.Line == 0 {
			return o.File
		}
		return o.File + ":" + strconv.Itoa(o.Line)
	case FromDefault:
		return "default"
	}
	return "default"
}

func (o Origin) via(reason string) Origin {
	o.Via = reason
	return o
}
