package config

import (
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// The modes of TLS, as Postgres names them.
const (
	sslDisable    = "disable"
	sslRequire    = "require"
	sslVerifyCA   = "verify-ca"
	sslVerifyFull = "verify-full"
)

// ownFile accepts absolute paths: where a worker is started must not decide
// which file it takes for its own.
func ownFile() rule {
	one := sqliteFile()
	return rule{
		expected: "the absolute path of a file, without settings",
		canonical: func(value string) (string, error) {
			path, err := one.canonical(value)
			if err == nil && !filepath.IsAbs(path) {
				return "", errors.New("not an absolute path")
			}
			return path, err
		},
	}
}

// maxDatabaseName is the limit of Postgres, in bytes.
const maxDatabaseName = 63

// databaseType accepts the types, and the other names of SQLite.
func databaseType() rule {
	return renamed(
		choice(string(DatabasePostgres), string(DatabaseSQLite), "sqlite3", "better-sqlite3"),
		map[string]string{"sqlite3": string(DatabaseSQLite), "better-sqlite3": string(DatabaseSQLite)},
	)
}

// sslMode accepts the modes that do not fall back to plaintext unasked, and the
// words for two of them.
func sslMode() rule {
	return renamed(
		choice(sslDisable, sslRequire, sslVerifyCA, sslVerifyFull, "true", "false"),
		map[string]string{"true": sslRequire, "false": sslDisable},
	)
}

// renamed has other words for some of the values.
func renamed(one rule, names map[string]string) rule {
	canonical := one.canonical
	one.canonical = func(value string) (string, error) {
		text, err := canonical(value)
		if name, found := names[text]; found {
			return name, err
		}
		return text, err
	}
	return one
}

// databaseHost accepts hosts, and directories of sockets.
func databaseHost() rule {
	named := host(nameDBURI, nameDBPort)
	return rule{
		expected: named.expected + ", or the absolute path of a directory",
		canonical: func(value string) (string, error) {
			if strings.HasPrefix(value, "/") {
				return socketDirectory(value)
			}
			return named.canonical(value)
		},
	}
}

func socketDirectory(value string) (string, error) {
	if !filepath.IsAbs(value) || !printable(value) || strings.Contains(value, ",") {
		return "", errors.New("not the absolute path of one directory")
	}
	return filepath.Clean(value), nil
}

func databaseName() rule {
	return rule{
		expected: "the name of a database, of at most 63 bytes",
		canonical: func(value string) (string, error) {
			if value == "" || len(value) > maxDatabaseName || !printable(value) {
				return "", errors.New("not the name of a database")
			}
			return value, nil
		},
	}
}

// sqliteFile accepts paths alone: settings of the file are the worker's.
func sqliteFile() rule {
	return rule{
		expected: "the path of a file, without settings",
		canonical: func(value string) (string, error) {
			switch {
			case !printable(value):
				return "", errors.New("control characters or invalid UTF-8 in a path")
			case strings.HasPrefix(value, ":") || strings.HasPrefix(value, "file:"):
				return "", errors.New("not a file, but an address of SQLite")
			case strings.ContainsAny(value, "?#"):
				return "", errors.New("a ? or # in the path of a SQLite file")
			case strings.HasSuffix(value, "/"):
				return "", errors.New("a directory in place of a file")
			}
			return filepath.Clean(value), nil
		},
	}
}

const pemBegin = "-----BEGIN "

// authorities accepts certificates as text, and the path of a file with them.
func authorities() rule {
	file := pemFile("certificates")
	return rule{
		expected: "certificates as PEM, or that in base64, or " + file.expected,
		canonical: func(value string) (string, error) {
			if text, ok := pemText(value); ok {
				return text, nil
			}
			return file.canonical(value)
		},
		redact: func(canonical string) string {
			if _, ok := pemText(canonical); ok {
				return "PEM text"
			}
			return canonical
		},
	}
}

// pemText returns PEM that stands in the value itself, and whether it does.
func pemText(value string) (string, bool) {
	if strings.Contains(value, pemBegin) {
		return value, true
	}
	packed := strings.Join(strings.Fields(value), "")
	decoded, err := base64.StdEncoding.DecodeString(packed)
	if err != nil || !utf8.Valid(decoded) || !strings.Contains(string(decoded), pemBegin) {
		return "", false
	}
	return string(decoded), true
}
