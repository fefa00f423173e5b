package config

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// Redis says where Redis is and as whom to connect. However it is printed, it
// shows no password.
type Redis struct {
	// Network is "tcp" or "unix".
	Network string
	// Addr is host:port, or the path of a socket.
	Addr string
	// Username is the ACL user; empty means the default user.
	Username string
	// Password is set if Username is.
	Password domain.Secret
	// DB is the number of the database.
	DB int
	// TLS is nil for a connection in plaintext. It checks certificates, and
	// reads the client's certificate again when its files change.
	TLS *tls.Config
}

// Profile says which BullMQ the Node programs of the fleet run.
type Profile string

// The profiles.
const (
	// ProfileV5 is BullMQ 5.70 to 5.81.
	ProfileV5 Profile = "v5"
	// ProfileV6 is BullMQ 6.
	ProfileV6 Profile = "v6"
)

// redisParts are read, resolved into Redis and not kept.
type redisParts struct {
	URL        string `env:"REDIS_URL"`
	Host       string `env:"REDIS_HOST"`
	Port       int    `env:"REDIS_PORT"`
	User       string `env:"REDIS_USER"`
	Password   string `env:"REDIS_PASSWORD"`
	TLS        bool   `env:"REDIS_TLS"`
	RequireTLS bool   `env:"REDIS_REQUIRE_TLS"`
	CACert     string `env:"REDIS_CA_CERT"`
	Cert       string `env:"REDIS_CERT"`
	Key        string `env:"REDIS_KEY"`
	ServerName string `env:"REDIS_SERVER_NAME"`
}

// redisGroup are the variables that say together where Redis is. They count
// from one origin: that of the highest rank which sets any of them.
func redisGroup() []string { return append([]string{nameRedisURL}, redisPartNames()...) }

// redisPartNames are the parts that a URL has, too.
func redisPartNames() []string {
	return []string{nameRedisHost, nameRedisPort, nameRedisUser, nameRedisPassword, nameRedisTLS}
}

// resolveRedis completes the connection, if anything uses it: only then are
// files looked at, and variables beside one another.
func (l *loader) resolveRedis(target *decoded) {
	queue := target.Config.Queue
	if queue.Backend != BackendRedis && queue.Ledger != LedgerRedis {
		return
	}
	parts := target.Redis
	l.warnOfOtherOrigins(redisGroup(), nameRedisURL, nameRedisHost)
	l.warnOfBlanks(nameRedisUser, nameRedisPassword)
	address, ok := l.redisAddress(parts)
	if !ok || l.values[nameRedisTLS].bad {
		return // What follows would be guesses.
	}
	l.checkPlaintext(address, parts)
	resolved := Redis{
		Network: address.network, Addr: address.addr(), Username: address.user,
		Password: domain.NewSecret(address.password), DB: address.db,
	}
	if address.tls {
		resolved.TLS = l.redisTLS(parts, address.host)
	} else {
		l.refuseUnusedTLS()
	}
	target.Config.redis = &resolved
}

// redisAddress takes the address from the URL, or else from the parts.
func (l *loader) redisAddress(parts redisParts) (redisAddress, bool) {
	set := l.values[nameRedisURL]
	if set.bad {
		return redisAddress{}, false
	}
	if !set.set {
		return l.addressOfParts(parts)
	}
	address, err := parseRedisURL(parts.URL)
	if err != nil {
		panic("config: a checked URL is refused: " + err.Error())
	}
	l.checkBesideURL(address, parts)
	l.settleParts(address, set.origin.via(nameRedisURL))
	return address, true
}

func (l *loader) addressOfParts(parts redisParts) (redisAddress, bool) {
	if l.anyBad(nameRedisHost, nameRedisPort, nameRedisUser, nameRedisPassword) {
		return redisAddress{}, false
	}
	if parts.User != "" && parts.Password == "" {
		problem := l.mistakeHere(nameRedisUser, "a user without "+nameRedisPassword)
		problem.Expected, problem.Example = "both, or a password alone for the default user", nameRedisPassword+"=s@cret"
		l.report(problem)
	}
	return redisAddress{
		network: networkTCP, host: parts.Host, port: parts.Port,
		user: parts.User, password: parts.Password, tls: parts.TLS,
	}, true
}

// checkBesideURL warns once of the parts of the same origin that the URL makes
// useless. One about TLS is too grave to be passed over.
func (l *loader) checkBesideURL(address redisAddress, parts redisParts) {
	l.warnOfIgnored(nameRedisURL, nameRedisHost, nameRedisPort, nameRedisUser, nameRedisPassword)
	if found := l.values[nameRedisTLS]; found.set && !found.bad && parts.TLS != address.tls {
		problem := l.mistakeHere(nameRedisTLS, "contradicts the scheme of "+nameRedisURL)
		problem.Expected = "a rediss:// address for TLS and a redis:// one without, or no " + nameRedisTLS
		problem.Example = nameRedisURL + "=rediss://redis.example:6379/0"
		l.report(problem)
	}
}

// settleParts shows the parts as the URL has them.
func (l *loader) settleParts(address redisAddress, origin Origin) {
	port := ""
	if address.port > 0 {
		port = strconv.Itoa(address.port)
	}
	for name, text := range map[string]string{
		nameRedisHost: address.host, nameRedisPort: port, nameRedisUser: address.user,
		nameRedisPassword: address.password, nameRedisTLS: strconv.FormatBool(address.tls),
	} {
		if found := l.values[name]; !found.bad {
			found.text, found.origin = text, origin
			l.values[name] = found
		}
	}
}

// checkPlaintext judges a connection that anybody on the way can read.
func (l *loader) checkPlaintext(address redisAddress, parts redisParts) {
	if address.tls || address.network != networkTCP || isLoopback(address.host) {
		return
	}
	const what = "the connection to Redis on another host has no TLS"
	if parts.RequireTLS {
		problem := l.mistakeHere(nameRedisRequireTLS, what)
		problem.Expected, problem.Example = "a rediss:// address or REDIS_TLS=true", nameRedisTLS+"=true"
		l.report(problem)
		return
	}
	if address.password == "" {
		return
	}
	name := nameRedisPassword
	if l.values[nameRedisURL].set {
		name = nameRedisURL
	}
	l.warnings = append(l.warnings, Problem{
		Variable: name, Origin: l.values[name].origin, Got: mask,
		What:     what + ": the password crosses the network in plaintext",
		Expected: "a rediss:// address or REDIS_TLS=true; " + nameRedisRequireTLS + "=true insists on it",
	})
}

// isLoopback reports whether the host is this one, as far as its name says.
func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

func (a *redisAddress) addr() string {
	if a.network == networkUnix {
		return a.path
	}
	return net.JoinHostPort(a.host, strconv.Itoa(a.port))
}
