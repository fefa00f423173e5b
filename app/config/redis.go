package config

import (
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// Redis says where Redis is and as whom to connect: one server, a cluster, or a
// primary that sentinels know. However it is printed, it shows no password.
type Redis struct {
	// Network is "tcp" or "unix"; empty with Nodes or Sentinel.
	Network string
	// Addr is host:port, or the path of a socket; empty with Nodes or Sentinel.
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
	// Nodes are some nodes of a cluster, each host:port.
	Nodes []string
	// Sentinel, if set, says who knows where the primary is.
	Sentinel *RedisSentinel
}

// RedisSentinel says who knows where the primary of Redis is, and as whom to
// ask. However it is printed, it shows no password.
type RedisSentinel struct {
	// Primary is the name that the sentinels know the primary by.
	Primary string
	// Addrs are the sentinels, each host:port.
	Addrs []string
	// Username is the ACL user of the sentinels; empty means the default user.
	Username string
	// Password is set if Username is.
	Password domain.Secret
	// TLS is nil for connections in plaintext.
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
	DB         int    `env:"REDIS_DB"`

	ClusterNodes     []string `env:"REDIS_CLUSTER_NODES"`
	Sentinels        []string `env:"REDIS_SENTINELS"`
	SentinelName     string   `env:"REDIS_SENTINEL_NAME"`
	SentinelUser     string   `env:"REDIS_SENTINEL_USER"`
	SentinelPassword string   `env:"REDIS_SENTINEL_PASSWORD"`
	SentinelTLS      bool     `env:"REDIS_SENTINEL_TLS"`
	SentinelCACert   string   `env:"REDIS_SENTINEL_CA_CERT"`
}

// redisGroup are the variables that say together where Redis is. They count
// from one origin: that of the highest rank which sets any of them.
func redisGroup() []string {
	return slices.Concat([]string{nameRedisURL, nameRedisNodes}, redisPartNames(), sentinelNames())
}

// redisPartNames are the parts that a URL has, too.
func redisPartNames() []string {
	return []string{nameRedisHost, nameRedisPort, nameRedisUser, nameRedisPassword, nameRedisTLS, nameRedisDB}
}

// resolveRedis completes the connection, if anything uses it: only then are
// files looked at, and variables beside one another.
func (l *loader) resolveRedis(target *decoded) {
	queue := target.Config.Queue
	if queue.Backend != BackendRedis && queue.Ledger != LedgerRedis {
		return
	}
	parts := target.Redis
	l.warnOfOtherOrigins(redisGroup(), nameRedisURL, nameRedisNodes, nameSentinels, nameRedisHost)
	l.warnOfBlanks(nameRedisUser, nameRedisPassword, nameSentinelUser, nameSentinelPassword)
	if l.refuseManyPlaces() {
		return
	}
	switch {
	case l.values[nameRedisNodes].set:
		target.Config.redis = l.redisCluster(parts, queue.Prefix)
		return
	case l.values[nameSentinels].set:
		target.Config.redis = l.redisSentinel(parts)
		return
	}
	address, ok := l.redisAddress(parts)
	if !ok || l.values[nameRedisTLS].bad {
		return // What follows would be guesses.
	}
	if !address.tls && address.network == networkTCP {
		l.checkPlaintext(parts, l.redisPlaintext(address.password), address.host)
	}
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
	if l.anyBad(nameRedisHost, nameRedisPort, nameRedisUser, nameRedisPassword, nameRedisDB) {
		return redisAddress{}, false
	}
	l.checkUser(nameRedisUser, nameRedisPassword)
	return redisAddress{
		network: networkTCP, host: parts.Host, port: parts.Port, db: parts.DB,
		user: parts.User, password: parts.Password, tls: parts.TLS,
	}, true
}

// checkUser reports a user without a password.
func (l *loader) checkUser(user, password string) {
	if l.values[user].text == "" || l.values[password].text != "" {
		return
	}
	problem := l.mistakeHere(user, "a user without "+password)
	problem.Expected, problem.Example = "both, or a password alone for the default user", password+"=s@cret"
	l.report(problem)
}

// checkBesideURL warns once of the parts of the same origin that the URL makes
// useless. One about TLS is too grave to be passed over.
func (l *loader) checkBesideURL(address redisAddress, parts redisParts) {
	l.warnOfIgnored(nameRedisURL, nameRedisHost, nameRedisPort, nameRedisUser, nameRedisPassword, nameRedisDB)
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
		nameRedisPassword: address.password, nameRedisTLS: strconv.FormatBool(address.tls), nameRedisDB: strconv.Itoa(address.db),
	} {
		if found := l.values[name]; !found.bad {
			found.text, found.origin = text, origin
			l.values[name] = found
		}
	}
}

// plaintext is a connection that anybody on the way can read.
type plaintext struct {
	// what is connected to where, and what would encrypt it.
	what, cure, example string
	// password is the variable with the password that crosses the network,
	// empty if there is none.
	password string
}

func (l *loader) redisPlaintext(password string) plaintext {
	p := plaintext{what: "the connection to Redis on another host", cure: "a rediss:// address or REDIS_TLS=true", example: nameRedisTLS + "=true"}
	switch {
	case password == "":
	case l.values[nameRedisURL].set:
		p.password = nameRedisURL
	default:
		p.password = nameRedisPassword
	}
	return p
}

// checkPlaintext judges a connection to the hosts.
func (l *loader) checkPlaintext(parts redisParts, p plaintext, hosts ...string) {
	if !slices.ContainsFunc(hosts, func(host string) bool { return !isLoopback(host) }) {
		return
	}
	what := p.what + " has no TLS"
	if parts.RequireTLS {
		problem := l.mistakeHere(nameRedisRequireTLS, what)
		problem.Expected, problem.Example = p.cure, p.example
		l.report(problem)
		return
	}
	if p.password == "" {
		return
	}
	l.warnings = append(l.warnings, Problem{
		Variable: p.password, Origin: l.values[p.password].origin, Got: mask,
		What:     what + ": the password crosses the network in plaintext",
		Expected: p.cure + "; " + nameRedisRequireTLS + "=true insists on it",
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
