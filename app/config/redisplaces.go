package config

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

const defaultSentinelPort = 26379

// sentinelNames are the variables about sentinels.
func sentinelNames() []string {
	return append([]string{nameSentinels}, sentinelPartNames()...)
}

// sentinelPartNames are of no use without sentinels.
func sentinelPartNames() []string {
	return []string{nameSentinelName, nameSentinelUser, nameSentinelPassword, nameSentinelTLS, nameSentinelCACert}
}

// refuseManyPlaces reports what says twice where Redis is, or how to reach
// sentinels that there are not. It tells whether nothing can follow.
func (l *loader) refuseManyPlaces() bool {
	var places []string
	for _, name := range []string{nameRedisURL, nameRedisNodes, nameSentinels} {
		if l.values[name].set {
			places = append(places, name)
		}
	}
	if len(places) > 1 {
		last := places[len(places)-1]
		problem := l.mistakeHere(last, "beside "+andList(places[:len(places)-1])+", and Redis is in one place")
		problem.Expected, problem.Example = "one of "+andList(places), last+"="+l.byName[last].Example
		l.report(problem)
		return true
	}
	if !l.values[nameSentinels].set {
		for _, name := range sentinelPartNames() {
			if found := l.values[name]; found.set && !found.bad {
				problem := l.mistakeHere(name, "of no use without "+nameSentinels)
				problem.Expected, problem.Example = "the sentinels as well", nameSentinels+"="+l.byName[nameSentinels].Example
				l.report(problem)
			}
		}
	}
	return l.anyBad(nameRedisNodes, nameSentinels, nameRedisTLS)
}

// redisCluster is the connection to a cluster.
func (l *loader) redisCluster(parts redisParts, prefix string) *Redis {
	l.warnOfIgnored(nameRedisNodes, nameRedisHost, nameRedisPort)
	if parts.DB != 0 && !l.values[nameRedisDB].bad {
		problem := l.mistakeHere(nameRedisDB, "beside "+nameRedisNodes+", and a cluster has database 0 alone")
		problem.Expected, problem.Example = "0", "0"
		l.report(problem)
	}
	if found := l.values[nameQueuePrefix]; !found.bad && !strings.HasPrefix(prefix, "{") {
		braced := "{" + prefix + "}"
		problem := l.mistakeHere(nameQueuePrefix, "not in braces beside "+nameRedisNodes+
			": in a cluster all keys of the queues must be in one slot")
		problem.Expected = braced + ", here and in all programs that share the queues"
		problem.Example = braced
		l.report(problem)
	}
	return l.redisOf(parts, Redis{Nodes: parts.ClusterNodes}, parts.ClusterNodes)
}

// redisSentinel is the connection to a primary that sentinels know.
func (l *loader) redisSentinel(parts redisParts) *Redis {
	l.warnOfIgnored(nameSentinels, nameRedisHost, nameRedisPort)
	if parts.SentinelName == "" && !l.values[nameSentinelName].bad {
		problem := l.mistakeHere(nameSentinels, "without "+nameSentinelName)
		problem.Expected, problem.Example = "both", nameSentinelName+"="+l.byName[nameSentinelName].Example
		l.report(problem)
	}
	l.checkUser(nameSentinelUser, nameSentinelPassword)
	if !parts.SentinelTLS {
		l.refuseUnused(nameSentinelCACert, nameSentinelTLS)
		plain := plaintext{what: "the connection to sentinels on another host", cure: "REDIS_SENTINEL_TLS=true", example: nameSentinelTLS + "=true"}
		if parts.SentinelPassword != "" {
			plain.password = nameSentinelPassword
		}
		l.checkPlaintext(parts, plain, hostsOf(parts.Sentinels)...)
	}
	return l.redisOf(parts, Redis{DB: parts.DB, Sentinel: &RedisSentinel{
		Primary: parts.SentinelName, Addrs: parts.Sentinels,
		Username: parts.SentinelUser, Password: domain.NewSecret(parts.SentinelPassword),
	}}, parts.Sentinels)
}

// redisOf completes a connection whose server is found by asking at the
// places: its hosts are known to them alone.
func (l *loader) redisOf(parts redisParts, redis Redis, places []string) *Redis {
	l.checkUser(nameRedisUser, nameRedisPassword)
	redis.Username, redis.Password = parts.User, domain.NewSecret(parts.Password)
	if !parts.TLS {
		l.checkPlaintext(parts, l.redisPlaintext(parts.Password), hostsOf(places)...)
	}
	if !parts.TLS && !parts.SentinelTLS {
		l.refuseUnusedTLS()
		return &redis
	}
	// Without a name the certificate must have that of the host at hand.
	config := l.redisTLS(parts, "")
	if parts.TLS {
		redis.TLS = config
	}
	if parts.SentinelTLS {
		redis.Sentinel.TLS = l.sentinelTLS(config, parts)
	}
	return &redis
}

func hostsOf(places []string) []string {
	hosts := make([]string, len(places))
	for i, place := range places {
		hosts[i], _, _ = net.SplitHostPort(place)
	}
	return hosts
}

// sentinelTLS is the TLS configuration of connections to sentinels.
func (l *loader) sentinelTLS(config *tls.Config, parts redisParts) *tls.Config {
	if parts.SentinelCACert == "" || l.values[nameSentinelCACert].bad {
		return config
	}
	config = config.Clone()
	config.RootCAs = l.authoritiesOf(nameSentinelCACert, parts.SentinelCACert)
	return config
}

// refuseUnused reports a variable that is of no use without another one.
func (l *loader) refuseUnused(name, without string) {
	if found := l.values[name]; found.set && !found.bad {
		problem := l.mistakeHere(name, "of no use without "+without)
		problem.Expected, problem.Example = "both or neither", without+"=true"
		l.report(problem)
	}
}

// hosts accepts hosts with or without a port, separated by commas, each once.
func hosts(port int) rule {
	return rule{
		expected: "host[:port] of each, separated by commas; an IPv6 address in brackets",
		canonical: func(value string) (string, error) {
			var places []string
			for text := range strings.SplitSeq(value, ",") {
				place, err := hostAndPort(strings.TrimSpace(text), port)
				if err != nil {
					return "", err
				}
				if slices.Contains(places, place) {
					return "", errTwice
				}
				places = append(places, place)
			}
			return strings.Join(places, ","), nil
		},
		// What is none of hosts may hold a password, and is not shown.
		redact: func(canonical string) string { return canonical },
	}
}
