package config

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

const (
	networkTCP  = "tcp"
	networkUnix = "unix"

	defaultRedisPort = 6379
)

// redisAddress is a Redis URL taken apart.
type redisAddress struct {
	network string
	// host and port are for tcp, path for unix.
	host string
	port int
	path string

	user, password string
	db             int
	tls            bool
}

// Every mistake has a text of our own that repeats nothing of the address:
// what looks like a host or a setting may be the end of a password.
var (
	errURLScheme = errors.New("not an address that begins with redis://, rediss:// or unix://; " +
		"sentinels belong into REDIS_SENTINELS, nodes of a cluster into REDIS_CLUSTER_NODES")
	errURLBlank       = errors.New("a blank or control character in an address; write a blank as %20")
	errURLFragment    = errors.New("a # in an address; write it as %23 if it belongs to the password")
	errURLManyAt      = errors.New("more than one @ in an address; write it as %40 in user and password")
	errURLLateAt      = errors.New("an @ after the host; write / as %2F and ? as %3F in user and password")
	errURLEscape      = errors.New("a % without two hexadecimal digits; write it as %25 if it belongs to the password")
	errURLControl     = errors.New("a line break or NUL in user or password")
	errURLNoPassword  = errors.New("a user without a password; a password alone is written as :password@")
	errURLEmptySecret = errors.New("an @ without a password before it")
	errURLHost        = errors.New("no host that could be one; an IPv6 address belongs into brackets")
	errURLPort        = errors.New("the port is not a whole number from 1 to 65535")
	errURLDatabase    = errors.New("the database is not a whole number from 0 to 2147483647")
	errURLSettings    = errors.New("settings after a ?, which are not taken here")
	errURLSkipVerify  = errors.New("skip_verify, which would switch the check of the certificate off")
	errURLPath        = errors.New("no absolute path of a socket")
	errURLSocket      = errors.New("settings after a ? other than db=<number>")
)

// redisURL accepts addresses of Redis.
func redisURL() rule {
	return rule{
		expected: "redis://[user:password@]host[:port][/database], the same with rediss:// for TLS, or unix://[user:password@]/path[?db=number]; " +
			"other than letters, digits and -._~ in user and password are percent-encoded",
		canonical: func(value string) (string, error) {
			_, err := parseRedisURL(value)
			return value, err
		},
		redact: func(canonical string) string {
			address, err := parseRedisURL(canonical)
			if err != nil {
				return mask
			}
			return address.redacted()
		},
	}
}

// parseRedisURL takes an address apart. It is stricter than net/url, which
// takes the end of a password with a # or / in it for a host.
func parseRedisURL(text string) (redisAddress, error) {
	scheme, rest, found := strings.Cut(text, "://")
	address := redisAddress{network: networkTCP}
	switch scheme = strings.ToLower(scheme); {
	case found && scheme == "redis":
	case found && scheme == "rediss":
		address.tls = true
	case found && scheme == "unix":
		address.network = networkUnix
	default:
		return address, errURLScheme
	}
	switch {
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
	if address.network == networkUnix {
		return address, address.readSocket(place)
	}
	return address, address.readHost(place)
}

func (a *redisAddress) readUser(text string) error {
	user, password, found := strings.Cut(text, ":")
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
	case user == "" && password == "":
		return errURLEmptySecret
	case !found || password == "":
		return errURLNoPassword
	}
	return nil
}

func (a *redisAddress) readHost(text string) error {
	place, settings, found := strings.Cut(text, "?")
	if found {
		if strings.Contains(strings.ToLower(settings), "skip_verify") {
			return errURLSkipVerify
		}
		return errURLSettings
	}
	place, database, _ := strings.Cut(place, "/")
	host, port, err := splitHostPort(place, defaultRedisPort)
	if err != nil {
		return err
	}
	a.host, a.port = host, port
	if database == "" {
		return nil
	}
	a.db, err = databaseNumber(database)
	return err
}

func (a *redisAddress) readSocket(text string) error {
	path, settings, found := strings.Cut(text, "?")
	var err error
	if a.path, err = percentDecoded(path); err != nil {
		return err
	}
	if len(a.path) < 2 || a.path[0] != '/' || !printable(a.path) {
		return errURLPath
	}
	if !found {
		return nil
	}
	number, isDB := strings.CutPrefix(settings, "db=")
	if !isDB || strings.Contains(number, "&") {
		return errURLSocket
	}
	a.db, err = databaseNumber(number)
	return err
}

func databaseNumber(text string) (int, error) {
	number, err := wholeNumber(text)
	if err != nil || number < 0 || number > 1<<31-1 {
		return 0, errURLDatabase
	}
	return int(number), nil
}

func splitHostPort(text string, fallback int) (host string, port int, err error) {
	host, digits, found := strings.Cut(text, ":")
	if inside, rest, closed := strings.Cut(text, "]"); strings.HasPrefix(text, "[") && closed {
		host = inside + "]"
		if digits, found = strings.CutPrefix(rest, ":"); !found && rest != "" {
			return "", 0, errURLHost
		}
	}
	if host, err = hostName(host); err != nil || strings.Contains(digits, ":") {
		return "", 0, errURLHost
	}
	if !found {
		return host, fallback, nil
	}
	number, err := wholeNumber(digits)
	if err != nil || number < 1 || number > 1<<16-1 {
		return "", 0, errURLPort
	}
	return host, int(number), nil
}

var errHost = errors.New("not the name or address of a host")

const hostPattern = `^[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_.])?$`

// hostName returns the host, without the brackets of an IPv6 address.
func hostName(text string) (string, error) {
	if inside, ok := strings.CutPrefix(text, "["); ok {
		inside, closed := strings.CutSuffix(inside, "]")
		if ip, err := netip.ParseAddr(inside); err != nil || !closed || !ip.Is6() {
			return "", errHost
		}
		return inside, nil
	}
	if !matches(hostPattern, text) {
		return "", errHost
	}
	return text, nil
}

func percentDecoded(text string) (string, error) {
	if !strings.Contains(text, "%") {
		return text, nil
	}
	var decoded strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			decoded.WriteByte(text[i])
			continue
		}
		if i+2 >= len(text) {
			return "", errURLEscape
		}
		code, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
		if err != nil {
			return "", errURLEscape
		}
		decoded.WriteByte(byte(code))
		i += 2
	}
	return decoded.String(), nil
}

// redacted is the address with user and password masked.
func (a *redisAddress) redacted() string {
	who := ""
	if a.password != "" {
		who = mask + "@"
	}
	switch {
	case a.network == networkUnix:
		return "unix://" + who + a.path + "?db=" + strconv.Itoa(a.db)
	case a.tls:
		return "rediss://" + who + a.addr() + "/" + strconv.Itoa(a.db)
	}
	return "redis://" + who + a.addr() + "/" + strconv.Itoa(a.db)
}
