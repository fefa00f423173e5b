package config

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
)

// host accepts the name or address of a host, and nothing beside it. Whole
// addresses and ports belong into the variables of those names.
func host(address, portName string) rule {
	return rule{
		expected: "the name or IP address of a host, without a port",
		canonical: func(value string) (string, error) {
			switch {
			case value != strings.TrimSpace(value):
				return "", errBlank
			case strings.Contains(value, "://"):
				return "", errors.New("an address in place of a host; " + address + " takes addresses")
			case strings.Contains(value, "@"):
				return "", errors.New("user or password in place of a host; " + address + " takes them")
			}
			if name, err := hostName(value); err == nil {
				return name, nil
			}
			if name, err := hostName("[" + value + "]"); err == nil {
				return name, nil
			}
			if name, port, err := splitHostPort(value, 1); err == nil && name != value && port > 0 {
				return "", errors.New("a port beside the host; " + portName + " takes it")
			}
			return "", errHost
		},
	}
}

// credential accepts every text that is one line; blanks belong to it.
func credential() rule {
	return rule{
		expected: "a text without line breaks",
		canonical: func(value string) (string, error) {
			if strings.ContainsAny(value, "\r\n\x00") {
				return "", errors.New("a line break or NUL")
			}
			return value, nil
		},
		display: func(canonical string) string {
			if printable(canonical) {
				return canonical
			}
			return strconv.Quote(canonical)
		},
	}
}

// pemFile accepts paths. Whether the file is good is found out when it is used.
func pemFile(what string) rule {
	return rule{
		expected: "the path of a PEM file of at most " + bytesText(pemLimit) + " with " + what,
		canonical: func(value string) (string, error) {
			if !printable(value) {
				return "", errors.New("control characters or invalid UTF-8 in a path")
			}
			return filepath.Clean(value), nil
		},
	}
}

// queuePrefix accepts BullMQ prefixes: a colon would make keys ambiguous, and a
// brace anywhere but around the whole would split a queue over slots.
func queuePrefix() rule {
	return rule{
		expected: "letters, digits and ._-, 64 at most, all of it in braces or none",
		canonical: func(value string) (string, error) {
			inside, braced := strings.CutPrefix(value, "{")
			if braced {
				if inside, braced = strings.CutSuffix(inside, "}"); !braced {
					return "", errors.New("not a queue prefix")
				}
			}
			if !prefixPattern.MatchString(inside) {
				return "", errors.New("not a queue prefix")
			}
			return value, nil
		},
	}
}

func andList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	end := len(words) - 1
	return strings.Join(words[:end], ", ") + " and " + words[end]
}

func plural(count int, one, many string) string {
	if count == 1 {
		return one
	}
	return many
}
