package redisqueue_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// trusting is a TLS configuration that trusts the authority alone.
func trusting(t *testing.T, authority *redistest.Authority) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(authority.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no certificate in the authority's file")
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func presenting(t *testing.T, config *tls.Config, pair redistest.Pair) *tls.Config {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	config = config.Clone()
	config.Certificates = []tls.Certificate{certificate}
	return config
}

func TestTLSWithAnAuthority(t *testing.T) {
	authority := redistest.NewAuthority(t)
	server := redistest.StartTLS(t, authority, []string{"127.0.0.1"}, "--requirepass", canary)
	connection := redisqueue.Connection{Addr: server.Addr, Password: domain.NewSecret(canary), TLS: trusting(t, authority)}
	if err := ping(t, dialled(t, connection)); err != nil {
		t.Errorf("Ping() = %v, want nil", err)
	}
	connection.TLS.MinVersion = tls.VersionTLS10
	if err := ping(t, dialled(t, connection)); err != nil {
		t.Errorf("Ping() = %v, want nil", err)
	}
}

func TestTLSRefusesWhatItCannotCheck(t *testing.T) {
	authority, stranger := redistest.NewAuthority(t), redistest.NewAuthority(t)
	server := redistest.StartTLS(t, authority, []string{"redis.internal"})
	named := trusting(t, authority)
	named.ServerName = "redis.internal"
	if err := ping(t, dialled(t, redisqueue.Connection{Addr: server.Addr, TLS: named})); err != nil {
		t.Errorf("Ping() with the server's name = %v, want nil", err)
	}
	other := trusting(t, authority)
	other.ServerName = "other.internal"
	wrong := trusting(t, stranger)
	wrong.ServerName = "redis.internal"
	for _, c := range []struct {
		about string
		tls   *tls.Config
		want  string
	}{
		{"its address is not in the certificate", trusting(t, authority), "cannot validate certificate for 127.0.0.1"},
		{"another name", other, "certificate is valid for redis.internal, not other.internal"},
		{"another authority", wrong, "unknown authority"},
		{"the system's roots", &tls.Config{ServerName: "redis.internal", MinVersion: tls.VersionTLS12}, "unknown authority"},
	} {
		t.Run(c.about, func(t *testing.T) {
			client := dialled(t, redisqueue.Connection{Addr: server.Addr, Password: domain.NewSecret(canary), TLS: c.tls})
			if err := ping(t, client); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("Ping() = %v, want %s", err, c.want)
			}
		})
	}
}

func TestMutualTLS(t *testing.T) {
	authority, stranger := redistest.NewAuthority(t), redistest.NewAuthority(t)
	server := redistest.StartTLS(t, authority, []string{"127.0.0.1"}, "--tls-auth-clients", "yes")
	trusted := trusting(t, authority)
	expired := authority.Issue("expired", redistest.Subject{NotAfter: time.Now().Add(-time.Minute)})
	for _, c := range []struct {
		about string
		tls   *tls.Config
		good  bool
	}{
		{"no certificate", trusted, false},
		{"certificate of the authority", presenting(t, trusted, authority.Issue("client", redistest.Subject{})), true},
		{"certificate of another", presenting(t, trusted, stranger.Issue("client", redistest.Subject{})), false},
		{"certificate that has expired", presenting(t, trusted, expired), false},
	} {
		t.Run(c.about, func(t *testing.T) {
			client := dialled(t, redisqueue.Connection{Addr: server.Addr, TLS: c.tls})
			if err := ping(t, client); (err == nil) != c.good {
				t.Errorf("Ping() = %v, want success: %v", err, c.good)
			}
		})
	}
}

func TestPlaintextAndTLSDoNotMix(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	secure := redistest.StartTLS(t, authority, []string{"127.0.0.1"})
	plain := redistest.Start(t)
	for about, c := range map[string]redisqueue.Connection{
		"plaintext to a server with TLS":    {Addr: secure.Addr, Password: domain.NewSecret(canary)},
		"TLS to a server that speaks plain": {Addr: plain.Addr, Password: domain.NewSecret(canary), TLS: trusting(t, authority)},
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			if err := ping(t, dialled(t, c)); err == nil || strings.Contains(err.Error(), canary) {
				t.Errorf("Ping() = %v, want an error without the password", err)
			}
		})
	}
}
