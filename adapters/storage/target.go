package storage

import (
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// maxPoolSize bounds the connections of one process: servers allow a hundred
// in all by default.
const maxPoolSize = 1000

var schemaPattern = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// target is a [PostgresConfig] that was checked, all of it filled in.
type target struct{ PostgresConfig }

func targetOf(config PostgresConfig) (*target, error) {
	t := &target{PostgresConfig: config}
	if uri := config.URI.Reveal(); uri != "" {
		if err := t.readURI(uri); err != nil {
			return nil, err
		}
	}
	t.fill()
	return t, t.check()
}

func (t *target) fill() {
	for _, field := range []struct {
		value    *string
		fallback string
	}{{&t.Host, "localhost"}, {&t.Database, "postgres"}, {&t.User, "postgres"}, {&t.Schema, DefaultSchema}} {
		if *field.value == "" {
			*field.value = field.fallback
		}
	}
	if t.Port == 0 {
		t.Port = DefaultPort
	}
	if t.PoolSize == 0 {
		t.PoolSize = DefaultPoolSize
	}
	if t.ConnectTimeout == 0 {
		t.ConnectTimeout = defaultConnectTimeout
	}
	if t.SSLMode == "" {
		t.SSLMode = "verify-full"
		if isLocal(t.Host) {
			t.SSLMode = "disable"
		}
	}
}

func (t *target) check() error {
	switch t.SSLMode {
	case "disable", "require", "verify-ca", "verify-full":
	default:
		return domain.Invalidf("sslmode %s is none of disable, require, verify-ca and verify-full", domain.Quote(t.SSLMode))
	}
	switch {
	case t.Port < 1 || t.Port > 65535:
		return domain.Invalidf("port %d is not between 1 and 65535", t.Port)
	case strings.ContainsAny(t.Host, ", \x00"):
		return domain.Invalidf("host %s is not one host", domain.Quote(t.Host))
	case strings.ContainsRune(t.Database+t.User+t.Password.Reveal(), 0):
		return domain.Invalidf("database, user or password holds a NUL")
	case !schemaPattern.MatchString(t.Schema):
		return domain.Invalidf("schema %s is no plain name", domain.Quote(t.Schema))
	case t.PoolSize < 1 || t.PoolSize > maxPoolSize:
		return domain.Invalidf("pool size %d is not between 1 and %d", t.PoolSize, maxPoolSize)
	case t.ConnectTimeout < 0:
		return domain.Invalidf("connect timeout %s is negative", t.ConnectTimeout)
	}
	return nil
}

// readURI takes the parts from the URI. Its errors are our own: those of
// package url hold the text, and with it the password.
func (t *target) readURI(text string) error {
	uri, err := url.Parse(text)
	switch {
	case err != nil:
		return domain.Invalidf("the URI of Postgres cannot be read; special characters in user and password must be percent-encoded")
	case uri.Scheme != "postgres" && uri.Scheme != "postgresql":
		return domain.Invalidf("the URI of Postgres must begin with postgres://")
	case uri.Opaque != "" || uri.Fragment != "" || strings.Count(text, "@") > 1:
		return domain.Invalidf("the URI of Postgres holds a bare @ or #; special characters in user and password must be percent-encoded")
	}
	t.Host, t.Port, t.Database = uri.Hostname(), 0, strings.TrimPrefix(uri.Path, "/")
	if port := uri.Port(); port != "" {
		if t.Port, err = strconv.Atoi(port); err != nil || t.Port == 0 {
			return domain.Invalidf("the port of the URI of Postgres is no port")
		}
	}
	password, _ := uri.User.Password()
	t.User, t.Password = uri.User.Username(), domain.NewSecret(password)
	return t.readQuery(uri.Query())
}

func (t *target) readQuery(query url.Values) error {
	for key, values := range query {
		switch {
		case len(values) != 1:
			return domain.Invalidf("the URI of Postgres sets %s twice", domain.Quote(key))
		case key == "sslmode":
			t.SSLMode = values[0]
		case key == "host" && t.Host == "":
			t.Host = values[0]
		default:
			return domain.Invalidf("the URI of Postgres may set sslmode and the host of a socket, not %s", domain.Quote(key))
		}
	}
	return nil
}

// isLocal reports whether the host is this one.
func isLocal(host string) bool {
	if host == "localhost" || path.IsAbs(host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
