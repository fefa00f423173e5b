package config

import (
	_ "embed"
	"errors"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // an accepted zone must load in an image without zone files
)

// zoneNames lists the names of the zone data of the Go release, sorted, one a
// line. The file system is not asked: it also has names that are no zones, and
// on some systems ignores case.
//
//go:embed zones.txt
var zoneNames string

// zone accepts IANA names exactly.
func zone() rule {
	return rule{
		expected: "an IANA zone name, exactly as written in the zone database",
		canonical: func(value string) (string, error) {
			if err := zoneMistake(value); err != nil {
				return "", err
			}
			if _, err := time.LoadLocation(value); err != nil {
				return "", errors.New("the zone's data cannot be loaded on this host")
			}
			return value, nil
		},
	}
}

func zoneMistake(value string) error {
	names := strings.Fields(zoneNames)
	if _, known := slices.BinarySearch(names, value); known {
		return nil
	}
	switch {
	case strings.EqualFold(value, "local") || strings.EqualFold(value, "localtime"):
		return errors.New("the host's own zone is not a name, and differs between hosts")
	case strings.Trim(value, "+-:0123456789") == "" && value != "":
		return errors.New("an offset is not a zone")
	case strings.Contains(value, "..") || strings.HasPrefix(value, "/") || strings.Contains(value, `\`):
		return errors.New("a path is not a zone")
	}
	if near := nearestZone(value, names); near != "" {
		return errors.New("not an IANA zone, the nearest is " + near)
	}
	return errors.New("not an IANA zone")
}

// nearestZone prefers a name that differs in case alone.
func nearestZone(value string, names []string) string {
	for _, name := range names {
		if strings.EqualFold(name, value) {
			return name
		}
	}
	return nearest(value, names)
}
