package config

import (
	"errors"
	"net"
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

var (
	errTwice     = errors.New("one host and port twice")
	errSchemes   = errors.New("an address in place of a host; user and password have variables of their own")
	errNoPrimary = errors.New("not the name of a primary")
)

// hostAndPort returns host:port, without repeating a value that may hold a
// password.
func hostAndPort(text string, port int) (string, error) {
	if strings.Contains(text, "://") || strings.Contains(text, "@") {
		return "", errSchemes
	}
	host, number, err := splitHostPort(text, port)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(number)), nil
}

// primaryPattern is what sentinels take for a name.
const primaryPattern = `^[A-Za-z0-9._-]{1,128}$`

// primaryName accepts names by which sentinels know a primary.
func primaryName() rule {
	return rule{
		expected: "letters, digits and ._-, 128 at most",
		canonical: func(value string) (string, error) {
			if !matches(primaryPattern, value) {
				return "", errNoPrimary
			}
			return value, nil
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
			if !matches(prefixPattern, inside) {
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
