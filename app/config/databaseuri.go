package config

import (
	"errors"
	"net"
	"net/url"
	"path"
	"strconv"
	"strings"
)

const defaultDatabasePort = 5432

// databaseAddress is a URI of Postgres taken apart. What it leaves open is empty.
type databaseAddress struct {
	// host is a name, an address or the directory of a socket.
	host           string
	port           int
	name           string
	user, password string
	mode           string
}

// Every mistake has a text of our own that repeats nothing of the URI: what
// looks like a host or a setting may be the end of a password.
var (
	errURIScheme   = errors.New("not an address that begins with postgres:// or postgresql://")
	errURIUser     = errors.New("an @ without a user before it")
	errURIName     = errors.New("the database is no name of at most 63 bytes")
	errURISettings = errors.New("settings after a ? other than one sslmode, and the host of a socket")
	errURIMode     = errors.New("an sslmode other than disable, require, verify-ca or verify-full")
)

// databaseURI accepts addresses of Postgres.
func databaseURI() rule {
	return rule{
		expected: "postgres://[user[:password]@]host[:port][/database][?sslmode=disable, require, verify-ca or verify-full], " +
			"or without a host and with ?host=/directory for a socket; other than letters, digits and -._~ in user, password and database are percent-encoded",
		canonical: func(value string) (string, error) {
			_, err := parseDatabaseURI(value)
			return value, err
		},
		redact: func(canonical string) string {
			address, err := parseDatabaseURI(canonical)
			if err != nil {
				return mask
			}
			return address.redacted()
		},
	}
}

func parseDatabaseURI(text string) (databaseAddress, error) {
	var address databaseAddress
	scheme, rest, _ := strings.Cut(text, "://")
	switch {
	case strings.ToLower(scheme) != "postgres" && strings.ToLower(scheme) != "postgresql" || len(scheme) == len(text):
		return address, errURIScheme
	case strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) >= 0:
		return address, errURLBlank
	case strings.Contains(rest, "#"):
		return address, errURLFragment
	case strings.Count(rest, "@") > 1:
		return address, errURLManyAt
	}
	user, place, found := strings.Cut(rest, "@")
	if !found {
		user, place = "", rest
	}
	if strings.ContainsAny(user, "/?") {
		return address, errURLLateAt
	}
	if found {
		if err := address.readUser(user); err != nil {
			return address, err
		}
	}
	place, settings, _ := strings.Cut(place, "?")
	if err := address.readSettings(settings); err != nil {
		return address, err
	}
	return address, address.readPlace(place)
}

func (a *databaseAddress) readUser(text string) error {
	user, password, _ := strings.Cut(text, ":")
	var err error
	if a.user, err = percentDecoded(user); err != nil {
		return err
	}
	if a.password, err = percentDecoded(password); err != nil {
		return err
	}
	switch {
	case strings.ContainsAny(a.user+a.password, "\r\n\x00"):
		return errURLControl
	case a.user == "":
		return errURIUser
	}
	return nil
}

// readSettings comes before readPlace: a socket's directory stands in there.
func (a *databaseAddress) readSettings(text string) error {
	if text == "" {
		return nil
	}
	for setting := range strings.SplitSeq(text, "&") {
		key, value, _ := strings.Cut(setting, "=")
		switch {
		case key == "sslmode" && a.mode == "":
			switch value {
			case sslDisable, sslRequire, sslVerifyCA, sslVerifyFull:
				a.mode = value
			default:
				return errURIMode
			}
		case key == "host" && a.host == "":
			decoded, err := percentDecoded(value)
			if err != nil {
				return err
			}
			if a.host, err = socketDirectory(decoded); err != nil {
				return errURISettings
			}
		default:
			return errURISettings
		}
	}
	return nil
}

func (a *databaseAddress) readPlace(text string) error {
	place, name, _ := strings.Cut(text, "/")
	decoded, err := percentDecoded(name)
	if err != nil {
		return err
	}
	if _, err := databaseName().canonical(decoded); (err != nil && name != "") || strings.Contains(name, "/") {
		return errURIName
	}
	a.name, a.port = decoded, defaultDatabasePort
	switch {
	case a.host == "":
		a.host, a.port, err = splitHostPort(place, defaultDatabasePort)
		return err
	case place == "":
		return nil
	case strings.HasPrefix(place, ":"):
		_, a.port, err = splitHostPort("localhost"+place, defaultDatabasePort)
		return err
	}
	return errURISettings
}

// redacted is the address with user and password masked.
func (a *databaseAddress) redacted() string {
	shown := url.URL{Scheme: "postgres", Path: "/" + a.name}
	settings := url.Values{}
	if path.IsAbs(a.host) {
		settings.Set("host", a.host)
	} else {
		shown.Host = net.JoinHostPort(a.host, strconv.Itoa(a.port))
	}
	if a.mode != "" {
		settings.Set("sslmode", a.mode)
	}
	shown.RawQuery = settings.Encode()
	text := shown.String()
	if a.user != "" {
		text = strings.Replace(text, "://", "://"+mask+"@", 1)
	}
	return text
}
