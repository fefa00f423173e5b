package config

import (
	"path/filepath"
	"strconv"
	"strings"
)

// defaultOf is the value of a variable that nobody set, and why. An empty text
// means that there is none.
func (l *loader) defaultOf(name string) (string, Origin) {
	var text string
	var origin Origin
	switch name {
	case nameTimezone:
		text, origin = l.defaultTimezone()
	case nameStateDir:
		text, origin = l.defaultStateDir()
	case nameInstance:
		text, origin = strconv.Itoa(l.source.PID), Origin{Via: "process id"}
	case nameDataDir:
		text, origin = l.defaultDataDir()
	case nameQueueBackend, nameStoragePath, nameDBSSLMode:
	default:
		text = l.byName[name].Default
	}
	if empty, ok := l.places.find(name); ok && origin.Via == "" {
		origin.Via = "empty in " + empty.origin.String()
	}
	if left, subject, ok := l.places.leftOut(name); ok {
		origin.Via = "not from " + left.origin.String() + ", for " + subject + " is set elsewhere"
	}
	return text, origin
}

func (l *loader) defaultTimezone() (string, Origin) {
	const utc = "UTC"
	host, ok := l.places.find("TZ")
	// POSIX has a colon before names of files, which zones are there.
	name := strings.TrimPrefix(host.value, ":")
	switch {
	case !ok || host.value == "":
		return utc, Origin{}
	case zoneMistake(name) != nil:
		l.warnings = append(l.warnings, Problem{
			Variable: "TZ", Origin: host.origin, Got: quoted(host.value),
			What:     "names no IANA zone: UTC is used",
			Expected: "an IANA zone name, or one in " + nameTimezone,
		})
		return utc, Origin{Via: "TZ is not an IANA name"}
	}
	return name, host.origin.via("TZ")
}

func (l *loader) defaultStateDir() (string, Origin) {
	fallback := "/tmp/takt-" + strconv.Itoa(l.source.UID)
	runtime, ok := l.places.find("XDG_RUNTIME_DIR")
	if !ok || runtime.value == "" {
		return fallback, Origin{}
	}
	dir, err := directory().canonical(runtime.value)
	if err != nil {
		return fallback, Origin{Via: "XDG_RUNTIME_DIR is not an absolute path"}
	}
	return filepath.Join(dir, "takt"), runtime.origin.via("XDG_RUNTIME_DIR")
}

// defaultDataDir is empty if the environment says nothing of a home: whether
// that matters is found out when everything else is known.
func (l *loader) defaultDataDir() (string, Origin) {
	for _, home := range []struct{ variable, below string }{{"XDG_STATE_HOME", "takt"}, {"HOME", ".local/state/takt"}} {
		found, ok := l.places.find(home.variable)
		if !ok || found.value == "" {
			continue
		}
		if dir, err := directory().canonical(found.value); err == nil {
			return filepath.Join(dir, home.below), found.origin.via(home.variable)
		}
	}
	return "", Origin{}
}
