package pattern

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxZone is longer than every name of a zone.
const maxZone = 64

var fixedZone = regexp.MustCompile(`^utc([+-]\d{1,2})(?::(\d{2}))?$`)

// loadZone returns the zone of a name as the luxon package of npm reads it.
func loadZone(name string) (*time.Location, error) {
	lower := strings.ToLower(name)
	switch lower {
	case "", "local", "system", "default":
		return time.Local, nil
	case "utc", "gmt":
		return time.UTC, nil
	}
	if parts := fixedZone.FindStringSubmatch(lower); parts != nil {
		return offsetZone(name, parts[1], parts[2]), nil
	}
	if len(name) <= maxZone {
		for _, spelling := range []string{name, oldName(name), strings.ToUpper(name), properName(lower)} {
			if zone, err := time.LoadLocation(spelling); err == nil && spelling != "" {
				return zone, nil
			}
		}
	}
	return nil, fmt.Errorf("pattern: zone %q is not known", name[:min(len(name), maxZone)])
}

func offsetZone(name, hours, minutes string) *time.Location {
	// The expression has checked the digits.
	h, _ := strconv.Atoi(hours)
	m, _ := strconv.Atoi(minutes)
	if hours[0] == '-' {
		m = -m
	}
	return time.FixedZone(name, h*hourSeconds+m*minuteSeconds)
}

// oldName returns the zone of one of the short names that Node knows of old
// and the IANA database does not.
func oldName(name string) string {
	for line := range strings.Lines(oldNames) {
		if short, zone, _ := strings.Cut(strings.TrimSpace(line), " "); strings.EqualFold(short, name) {
			return zone
		}
	}
	return ""
}

//nolint:misspell // these are names
const oldNames = `ACT Australia/Darwin
	AET Australia/Sydney
	AGT America/Buenos_Aires
	ART Africa/Cairo
	AST America/Anchorage
	BET America/Sao_Paulo
	BST Asia/Dhaka
	CAT Africa/Maputo
	CNT America/St_Johns
	CST America/Chicago
	CTT Asia/Shanghai
	EAT Africa/Nairobi
	ECT Europe/Paris
	IET America/Indianapolis
	IST Asia/Calcutta
	JST Asia/Tokyo
	MIT Pacific/Apia
	NET Asia/Yerevan
	NST Pacific/Auckland
	PLT Asia/Karachi
	PNT America/Phoenix
	PRT America/Puerto_Rico
	PST America/Los_Angeles
	SST Pacific/Guadalcanal
	VST Asia/Saigon`

// properName returns a name in the spelling of the IANA database, for Node
// does not mind the case. It gets lower case.
func properName(lower string) string {
	var b strings.Builder
	for rest := lower; rest != ""; {
		end := strings.IndexAny(rest, "/_-")
		if end < 0 {
			end = len(rest)
		}
		b.WriteString(properWord(rest[:end]))
		rest = rest[end:]
		if rest != "" {
			b.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	return b.String()
}

func properWord(word string) string {
	switch word {
	case "":
		return ""
	case "of", "es", "au":
		return word
	case "us", "utc", "uct", "gb", "nz":
		return strings.ToUpper(word)
	case "mcmurdo":
		return "McMurdo"
	case "dumontdurville":
		return "DumontDUrville"
	}
	if strings.HasPrefix(word, "gmt") {
		return strings.ToUpper(word)
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
