package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
)

func TestRedisMayBeAClusterOrBehindSentinels(t *testing.T) {
	secret := domain.NewSecret
	for _, c := range []struct {
		environ string
		want    config.Redis
	}{
		{
			"REDIS_CLUSTER_NODES=127.0.0.1:7000,localhost,[::1]:7001 WORKER_QUEUE_PREFIX={bull}",
			config.Redis{Nodes: []string{"127.0.0.1:7000", "localhost:6379", "[::1]:7001"}},
		},
		{
			"REDIS_CLUSTER_NODES=localhost REDIS_USER=u REDIS_PASSWORD=p WORKER_QUEUE_PREFIX={bull}",
			config.Redis{Nodes: []string{"localhost:6379"}, Username: "u", Password: secret("p")},
		},
		{
			"REDIS_SENTINELS=localhost,localhost:26380 REDIS_SENTINEL_NAME=my-master.1 REDIS_DB=3",
			config.Redis{DB: 3, Sentinel: &config.RedisSentinel{Primary: "my-master.1", Addrs: []string{"localhost:26379", "localhost:26380"}}},
		},
		{
			"REDIS_SENTINELS=localhost REDIS_SENTINEL_NAME=m REDIS_SENTINEL_USER=s REDIS_SENTINEL_PASSWORD=q REDIS_PASSWORD=p",
			config.Redis{Password: secret("p"), Sentinel: &config.RedisSentinel{
				Primary: "m", Addrs: []string{"localhost:26379"}, Username: "s", Password: secret("q"),
			}},
		},
	} {
		loaded, report := onRedis(t, strings.Split(c.environ, " ")...)
		if err := report.Err(); err != nil || len(report.Warnings) > 0 {
			t.Errorf("%s: %v with warnings %v, want neither", c.environ, err, report.Warnings)
			continue
		}
		got, _ := loaded.Redis()
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.environ, diff)
		}
	}
}

func TestEachPlaceOfRedisHasItsOwnTLS(t *testing.T) {
	const sentinels = "REDIS_SENTINELS=sentinel.example REDIS_SENTINEL_NAME=m "
	for _, c := range []struct {
		environ          string
		redis, sentinels bool
	}{
		{"REDIS_CLUSTER_NODES=redis.example REDIS_TLS=true WORKER_QUEUE_PREFIX={bull}", true, false},
		{sentinels + "REDIS_TLS=true", true, false},
		{sentinels + "REDIS_SENTINEL_TLS=true", false, true},
		{sentinels + "REDIS_TLS=true REDIS_SENTINEL_TLS=true REDIS_REQUIRE_TLS=true", true, true},
		{sentinels + "REDIS_SENTINEL_TLS=true REDIS_SERVER_NAME=redis.internal", false, true},
	} {
		loaded, report := onRedis(t, strings.Split(c.environ, " ")...)
		if err := report.Err(); err != nil {
			t.Errorf("%s: %v, want no problem", c.environ, err)
			continue
		}
		got, _ := loaded.Redis()
		if (got.TLS != nil) != c.redis || got.Sentinel != nil && (got.Sentinel.TLS != nil) != c.sentinels {
			t.Errorf("%s: TLS %v to Redis and %+v, want it %v and %v", c.environ, got.TLS, got.Sentinel, c.redis, c.sentinels)
		}
		name := ""
		if strings.Contains(c.environ, "REDIS_SERVER_NAME") {
			name = "redis.internal"
		}
		if got.TLS != nil && got.TLS.ServerName != name || got.Sentinel != nil && got.Sentinel.TLS != nil && got.Sentinel.TLS.ServerName != name {
			t.Errorf("%s: names %+v, want %q, which stands for that of the host at hand", c.environ, got, name)
		}
	}
}

func TestPasswordsOnTheirWayToManyPlacesAreWarnedOf(t *testing.T) {
	const sentinels = "REDIS_SENTINELS=sentinel.example REDIS_SENTINEL_NAME=m "
	for _, c := range []struct{ environ, problem, warning string }{
		{"REDIS_CLUSTER_NODES=localhost,redis.example REDIS_PASSWORD=geheim WORKER_QUEUE_PREFIX={b}", "", "REDIS_PASSWORD: the connection to Redis on another host has no TLS"},
		{"REDIS_CLUSTER_NODES=localhost REDIS_HOST=other WORKER_QUEUE_PREFIX={b}", "", "REDIS_CLUSTER_NODES: wins over REDIS_HOST, which is ignored"},
		{sentinels + "REDIS_SENTINEL_PASSWORD=geheim", "", "REDIS_SENTINEL_PASSWORD: the connection to sentinels on another host has no TLS"},
		{sentinels + "REDIS_TLS=true REDIS_REQUIRE_TLS=true", "REDIS_REQUIRE_TLS: the connection to sentinels on another host has no TLS", ""},
		{sentinels + "REDIS_SENTINEL_TLS=true REDIS_REQUIRE_TLS=true", "REDIS_REQUIRE_TLS: the connection to Redis on another host has no TLS", ""},
	} {
		t.Run(c.environ, func(t *testing.T) {
			_, report := onRedis(t, strings.Split(c.environ, " ")...)
			expect(t, "problems", report.Problems, c.problem)
			expect(t, "warnings", report.Warnings, c.warning)
			checkLines(t, report)
			if strings.Contains(text(report), "geheim") {
				t.Errorf("a secret is shown: %s", text(report))
			}
		})
	}
}

func TestWhereRedisIsCountsFromOneOrigin(t *testing.T) {
	from := source(t, "REDIS_ENABLED=true", "REDIS_CLUSTER_NODES=localhost:7000", "WORKER_QUEUE_PREFIX={bull}")
	write(t, from.Dir, ".env", "REDIS_URL=redis://:geheim@redis.example\nREDIS_SENTINELS=localhost\n")
	loaded, report := config.Load(from)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if got, _ := loaded.Redis(); len(got.Nodes) != 1 || got.Sentinel != nil || !got.Password.IsZero() {
		t.Errorf("Redis() = %+v, want the nodes of the environment and nothing of the file", got)
	}
}
