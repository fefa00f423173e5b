package redisqueue_test

import (
	"context"
	"crypto/tls"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// complaint returns why the backend does not reach its server.
func complaint(t *testing.T, backend *redisqueue.Backend) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if err := backend.Await(ctx); !errors.Is(err, ports.ErrUnavailable) {
			t.Errorf("Await = %v, want %v", err, ports.ErrUnavailable)
		}
	})
	defer waiting.Wait()
	defer cancel()
	for until := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		if _, reason := backend.Health(); reason != nil {
			return reason
		}
		if time.Now().After(until) {
			t.Fatal("the backend complains of nothing")
		}
	}
}

// What a server makes of us without a certificate of ours, or with one that it
// does not trust. Its reason is lost if it has closed the connection before we
// have written.
const (
	hungUp    = "|connection reset by peer|broken pipe"
	unwanted  = "certificate required" + hungUp
	untrusted = "unknown certificate authority" + hungUp
)

// wantReached checks what becomes of a connection: the empty text means that jobs
// come and go, any other is an expression that the complaint matches.
func wantReached(t *testing.T, about string, backend *redisqueue.Backend, complains string) {
	t.Helper()
	if complains != "" {
		says := regexp.MustCompile(complains)
		if err := complaint(t, backend); !says.MatchString(err.Error()) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the backend complains of %v, want %s", about, err, complains)
		}
		return
	}
	if err := backend.Await(t.Context()); err != nil {
		t.Fatalf("%s: Await = %v, want no error", about, err)
	}
	consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	addJobs(t, backend, strings.ReplaceAll(about, " ", "-"), 1)
	leases := reserve(t, consumer, 1)
	settleOne(t, consumer, &leases[0], domain.Outcome{Kind: domain.Completed})
}

func TestNodesOfAClusterAreCheckedByTheirCertificates(t *testing.T) {
	t.Parallel()
	authority, stranger := redistest.NewAuthority(t), redistest.NewAuthority(t)
	cluster := authority.Secure("localhost", "redis.internal").StartCluster(3, "--tls-auth-clients", "yes",
		"--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname")
	byHost := make([]string, 0, len(cluster.Addrs()))
	for _, addr := range cluster.Addrs() {
		byHost = append(byHost, strings.Replace(addr, "127.0.0.1", "localhost", 1))
	}
	pair := authority.Issue("client", redistest.Subject{})
	trusted := trusting(t, authority)
	good := presenting(t, trusted, pair)
	named := func(config *tls.Config, name string) *tls.Config {
		config = config.Clone()
		config.ServerName = name
		return config
	}
	for _, c := range []struct {
		about     string
		nodes     []string
		tls       *tls.Config
		complains string
	}{
		{"the hosts that the nodes name", byHost, good, ""},
		{"a name for all of them", cluster.Addrs(), named(good, "redis.internal"), ""},
		{"an address that is not in the certificate", cluster.Addrs(), good, "cannot validate certificate for 127.0.0.1"},
		{"another name", byHost, named(good, "other.internal"), "not other.internal"},
		{"another authority", byHost, presenting(t, trusting(t, stranger), pair), "unknown authority"},
		{"no certificate of ours", byHost, trusted, unwanted},
		{"a certificate of another", byHost, presenting(t, trusted, stranger.Issue("client", redistest.Subject{})), untrusted},
		{"plaintext", byHost, nil, "node localhost"},
	} {
		wantReached(t, c.about, openCluster(t, cluster, func(config *redisqueue.Config) {
			config.Connection = redisqueue.Connection{Nodes: c.nodes, TLS: c.tls}
		}), c.complains)
	}
	backend := openCluster(t, cluster, func(config *redisqueue.Config) {
		config.Connection = redisqueue.Connection{Nodes: byHost, TLS: good}
	})
	wantReached(t, "before the slot moves", backend, "")
	from, to := cluster.Owner("{bull}"), cluster.Primaries[0]
	if to == from {
		to = cluster.Primaries[1]
	}
	cluster.Move(cluster.Slot("{bull}"), from, to)
	addJobs(t, backend, "moved", 1)
	to.Kill()
	cluster.AwaitOwner("{bull}", to)
	addJobs(t, backend, "after", 1)
}

func TestSentinelsAreCheckedByTheirCertificates(t *testing.T) {
	t.Parallel()
	authority, stranger := redistest.NewAuthority(t), redistest.NewAuthority(t)
	sentinels := authority.Secure("redis.internal").StartSentinels(1, "--tls-auth-clients", "yes")
	for _, sentinel := range sentinels.Sentinels {
		words := append([]any{"ACL", "SETUSER", "asker", "on", ">" + canary}, sentinelRights...)
		if err := sentinel.Client().Do(t.Context(), words...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	trusted := trusting(t, authority)
	trusted.ServerName = "redis.internal"
	pair := authority.Issue("client", redistest.Subject{})
	good := presenting(t, trusted, pair)
	nameless := presenting(t, trusting(t, authority), pair)
	strange := presenting(t, trusting(t, stranger), pair)
	strange.ServerName = "redis.internal"
	for _, c := range []struct {
		about             string
		servers, watching *tls.Config
		complains         string
	}{
		{"both", good, good, ""},
		{"sentinels without a name", good, nameless, "cannot validate certificate for 127.0.0.1"},
		{"servers without a name", nameless, good, "cannot validate certificate for 127.0.0.1"},
		{"sentinels of another authority", good, strange, "unknown authority"},
		{"servers of another authority", strange, good, "unknown authority"},
		{"no certificate for sentinels", good, trusted, unwanted},
		{"no certificate for servers", trusted, good, unwanted},
		{"plaintext to sentinels", good, nil, "sentinel 127.0.0.1"},
		{"plaintext to servers", nil, good, ""},
	} {
		backend := openSentinels(t, sentinels, func(config *redisqueue.Config) {
			config.Connection.TLS, config.Connection.Sentinel.TLS = c.servers, c.watching
			config.Connection.Sentinel.Username, config.Connection.Sentinel.Password = "asker", domain.NewSecret(canary)
		})
		if c.servers == nil {
			if err := complaint(t, backend); strings.Contains(err.Error(), "sentinel") {
				t.Errorf("%s: the backend complains of %v, want the servers", c.about, err)
			}
			continue
		}
		wantReached(t, c.about, backend, c.complains)
	}
	backend := openSentinels(t, sentinels, func(config *redisqueue.Config) {
		config.Connection.TLS, config.Connection.Sentinel.TLS = good, good
	})
	wantReached(t, "before the failover", backend, "")
	old := sentinels.Primary()
	old.Kill()
	sentinels.AwaitPrimary(old)
	addJobs(t, backend, "after", 1)
}
