package config

import (
	"slices"
)

// The names of the group of Redis that the code itself asks for.
const (
	nameRedisURL        = "REDIS_URL"
	nameRedisHost       = "REDIS_HOST"
	nameRedisPort       = "REDIS_PORT"
	nameRedisUser       = "REDIS_USER"
	nameRedisPassword   = "REDIS_PASSWORD"
	nameRedisTLS        = "REDIS_TLS"
	nameRedisRequireTLS = "REDIS_REQUIRE_TLS"
	nameRedisCACert     = "REDIS_CA_CERT"
	nameRedisCert       = "REDIS_CERT"
	nameRedisKey        = "REDIS_KEY"
	nameRedisServerName = "REDIS_SERVER_NAME"
	nameRedisDB         = "REDIS_DB"
	nameRedisNodes      = "REDIS_CLUSTER_NODES"

	nameSentinels        = "REDIS_SENTINELS"
	nameSentinelName     = "REDIS_SENTINEL_NAME"
	nameSentinelUser     = "REDIS_SENTINEL_USER"
	nameSentinelPassword = "REDIS_SENTINEL_PASSWORD"
	nameSentinelTLS      = "REDIS_SENTINEL_TLS"
	nameSentinelCACert   = "REDIS_SENTINEL_CA_CERT"

	nameQueuePrefix = "WORKER_QUEUE_PREFIX"
)

const prefixPattern = `^[A-Za-z0-9._-]{1,64}$`

func redisVariables() []Variable {
	const group = "Redis"
	return append([]Variable{
		{
			Name: nameRedisEnabled, Group: group, Default: "false", Example: "true", rule: boolean(),
			Description: "Queues in Redis, in BullMQ's layout, unless WORKER_QUEUE_BACKEND or WORKER_QUEUE_ENABLED says otherwise.",
		},
		{ //nolint:gosec // the password is an example's
			Name: nameRedisURL, Group: group, Secret: true, Example: "rediss://worker:s%40cret@redis.example:6379/0", rule: redisURL(),
			Description: "Where Redis is; wins over REDIS_HOST, REDIS_PORT, REDIS_USER, REDIS_PASSWORD and REDIS_DB.",
		},
		{
			Name: nameRedisHost, Group: group, Default: "127.0.0.1", Example: "redis.example", rule: host(nameRedisURL, nameRedisPort),
			Description: "Host of Redis.",
		},
		{
			Name: nameRedisPort, Group: group, Default: "6379", Example: "6380", rule: count(1, 65535),
			Description: "Port of Redis.",
		},
		{
			Name: nameRedisUser, Group: group, Example: "worker", rule: credential(),
			Description: "ACL user of Redis; unset is the default user.",
		},
		{
			Name: nameRedisPassword, Group: group, Secret: true, Example: "s@cret", rule: credential(),
			Description: "Password of Redis.",
		},
		{
			Name: nameRedisDB, Group: group, Default: "0", Example: "3", rule: count(0, 1<<31-1),
			Description: "Number of the database; a cluster has 0 alone.",
		},
	}, slices.Concat(redisTLSVariables(group), redisPlaceVariables(group), bullmqVariables(group))...)
}

func redisPlaceVariables(group string) []Variable {
	return []Variable{
		{
			Name: nameRedisNodes, Group: group, Secret: true, Example: "redis-1.example:6379,redis-2.example:6379", rule: hosts(defaultRedisPort),
			Description: "Nodes of a Redis Cluster, of which one that answers is enough. WORKER_QUEUE_PREFIX must be in braces.",
		},
		{
			Name: nameSentinels, Group: group, Secret: true, Example: "sentinel-1.example:26379,sentinel-2.example:26379", rule: hosts(defaultSentinelPort),
			Description: "Sentinels that know where the primary is, of which one that answers is enough.",
		},
		{
			Name: nameSentinelName, Group: group, Example: "mymaster", rule: primaryName(),
			Description: "Name that the sentinels know the primary by.",
		},
		{
			Name: nameSentinelUser, Group: group, Example: "worker", rule: credential(),
			Description: "ACL user of the sentinels; unset is the default user.",
		},
		{
			Name: nameSentinelPassword, Group: group, Secret: true, Example: "s@cret", rule: credential(),
			Description: "Password of the sentinels, which is not that of Redis.",
		},
		{
			Name: nameSentinelTLS, Group: group, Default: "false", Example: "true", rule: boolean(),
			Description: "TLS to the sentinels, with REDIS_CERT and REDIS_KEY if they are set.",
		},
		{
			Name: nameSentinelCACert, Group: group, Example: "/run/secrets/sentinel-ca.pem", rule: pemFile("certificates"),
			Description: "Authorities that may vouch for the sentinels; unset is REDIS_CA_CERT.",
		},
	}
}

func redisTLSVariables(group string) []Variable {
	return []Variable{
		{
			Name: nameRedisTLS, Group: group, Default: "false", Example: "true", rule: boolean(),
			Description: "TLS to the host of REDIS_HOST, to the nodes or to the primary; an address says it by rediss://.",
		},
		{
			Name: nameRedisRequireTLS, Group: group, Default: "false", Example: "true", rule: boolean(),
			Description: "Refuse to start without TLS to a Redis on another host, instead of warning when a password crosses the network.",
		},
		{
			Name: nameRedisCACert, Group: group, Example: "/run/secrets/redis-ca.pem", rule: pemFile("certificates"),
			Description: "Authorities that may vouch for Redis, in place of the system's.",
		},
		{
			Name: nameRedisCert, Group: group, Example: "/run/secrets/redis.pem", rule: pemFile("a certificate, and those between it and its authority"),
			Description: "Certificate to show to Redis, read again when it changes.",
		},
		{
			Name: nameRedisKey, Group: group, Example: "/run/secrets/redis.key", rule: pemFile("a private key that not every user can read"),
			Description: "Key of the certificate in REDIS_CERT.",
		},
		{
			Name: nameRedisServerName, Group: group, Example: "redis.internal", rule: host(nameRedisURL, nameRedisPort),
			Description: "Name that the certificate of Redis must have; unset is the host.",
		},
	}
}

func bullmqVariables(group string) []Variable {
	return []Variable{
		{
			Name: nameQueuePrefix, Group: group, Default: "bull", Example: "{bull}", rule: queuePrefix(),
			Description: "BullMQ's prefix of keys, the same in all programs that share queues.",
		},
		{
			Name: "WORKER_BULLMQ_PROFILE", Group: group, Default: string(ProfileV5), Example: string(ProfileV6),
			rule:        choice(string(ProfileV5), string(ProfileV6)),
			Description: "BullMQ of the Node programs that share the queues: it decides where the jobs of a paused queue are kept.",
		},
		{
			Name: "WORKER_QUEUE_RATE_LIMITS", Group: group, Example: "mail=10/1s,reports=1/1m", rule: rateLimits(),
			Description: "How many jobs of a queue in Redis may start in a span, counted over all workers that have a limit; a limit kept with the queue wins.",
		},
		{
			Name: "WORKER_QUEUE_METRICS", Group: group, Default: "0s", Example: "2h", rule: duration(0, 30*day),
			Description: "For how long BullMQ's counts of finished jobs a minute are kept in Redis; zero keeps none.",
		},
	}
}
