package config_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/test/redistest"
)

// overTLS loads a connection with TLS and the files.
func overTLS(t *testing.T, environ ...string) (*config.Config, config.Report) {
	t.Helper()
	return onRedis(t, append(environ, "REDIS_URL=rediss://redis.example")...)
}

func tlsOf(t *testing.T, environ ...string) *tls.Config {
	t.Helper()
	loaded, report := overTLS(t, environ...)
	if err := report.Err(); err != nil || len(report.Warnings) > 0 {
		t.Fatalf("%v with warnings %v, want neither", err, report.Warnings)
	}
	redis, _ := loaded.Redis()
	return redis.TLS
}

func TestTLSChecksCertificatesFrom12On(t *testing.T) {
	for environ, want := range map[string]string{
		"REDIS_URL=rediss://redis.example":                                   "redis.example",
		"REDIS_URL=rediss://[::1]":                                           "::1",
		"REDIS_HOST=redis.example REDIS_TLS=true":                            "redis.example",
		"REDIS_URL=rediss://10.0.0.1 REDIS_SERVER_NAME=redis.internal":       "redis.internal",
		"REDIS_HOST=10.0.0.1 REDIS_TLS=yes REDIS_SERVER_NAME=redis.internal": "redis.internal",
	} {
		loaded, report := onRedis(t, strings.Split(environ, " ")...)
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		redis, _ := loaded.Redis()
		if got := redis.TLS; got.MinVersion != tls.VersionTLS12 || got.InsecureSkipVerify || got.ServerName != want || got.RootCAs != nil {
			t.Errorf("%s: %+v, want TLS 1.2, a check of %s, and the system's authorities", environ, got, want)
		}
	}
}

// handshake connects a client with the configuration to a server with the
// certificate and returns the error of either.
func handshake(t *testing.T, client *tls.Config, server redistest.Pair, trust *tls.Config) (*tls.ConnectionState, error) {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(server.CertFile, server.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	defer near.Close() //nolint:errcheck // the test is over
	accepted := tls.Server(far, &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAnyClientCert, ClientCAs: trust.RootCAs, MinVersion: tls.VersionTLS12,
	})
	done := make(chan error, 1)
	go func() { done <- accepted.HandshakeContext(t.Context()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := tls.Client(near, client).HandshakeContext(ctx); err != nil {
		_ = near.Close()
		return nil, errors.Join(err, <-done)
	}
	if err := <-done; err != nil {
		return nil, err
	}
	state := accepted.ConnectionState()
	return &state, nil
}

func TestFilesOfCertificatesAreUsed(t *testing.T) {
	authority := redistest.NewAuthority(t)
	server := authority.Issue("server", redistest.Subject{Names: []string{"redis.example"}})
	mine := authority.Issue("mine", redistest.Subject{})
	config := tlsOf(t, "REDIS_CA_CERT="+authority.CertFile, "REDIS_CERT="+mine.CertFile, "REDIS_KEY="+mine.KeyFile)
	state, err := handshake(t, config, server, config)
	if err != nil {
		t.Fatal(err)
	}
	first := state.PeerCertificates[0]
	if want := parsed(t, mine); !slices.Equal(first.Raw, want) {
		t.Errorf("shown is %v, want the certificate of the file", first.Subject)
	}
	if _, err := handshake(t, tlsOf(t), server, config); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("without the authority: %v, want an error of an unknown authority", err)
	}
	if _, err := handshake(t, tlsOf(t, "REDIS_CA_CERT="+authority.CertFile, "REDIS_SERVER_NAME=other.example"), server, config); err == nil {
		t.Error("with another name the server is accepted, want an error")
	}
}

func parsed(t *testing.T, pair redistest.Pair) []byte {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return certificate.Certificate[0]
}

func TestAChangedCertificateIsShownFromThenOn(t *testing.T) {
	authority := redistest.NewAuthority(t)
	server := authority.Issue("server", redistest.Subject{Names: []string{"redis.example"}})
	one, two := authority.Issue("one", redistest.Subject{}), authority.Issue("two", redistest.Subject{})
	dir := t.TempDir()
	inUse := redistest.Pair{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	copyTo(t, one.CertFile, inUse.CertFile, time.Hour)
	copyTo(t, one.KeyFile, inUse.KeyFile, time.Hour)
	config := tlsOf(t, "REDIS_CA_CERT="+authority.CertFile, "REDIS_CERT="+inUse.CertFile, "REDIS_KEY="+inUse.KeyFile)
	shown := func(about string, want redistest.Pair) {
		t.Helper()
		state, err := handshake(t, config, server, config)
		if err != nil {
			t.Fatalf("%s: %v", about, err)
		}
		if !slices.Equal(state.PeerCertificates[0].Raw, parsed(t, want)) {
			t.Errorf("%s: another certificate is shown", about)
		}
	}
	shown("at first", one)
	copyTo(t, two.CertFile, inUse.CertFile, 30*time.Minute)
	shown("the certificate changed and its key not yet", one)
	copyTo(t, two.KeyFile, inUse.KeyFile, 20*time.Minute)
	shown("both changed", two)
	if err := os.WriteFile(inUse.CertFile, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	shown("the certificate is damaged", two)
}

// copyTo copies a file and says that it changed so long ago.
func copyTo(t *testing.T, from, to string, ago time.Duration) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-ago)
	if err := os.Chtimes(to, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestWrongFilesOfCertificatesAreNamedAndNotRepeated(t *testing.T) {
	authority := redistest.NewAuthority(t)
	good, other := authority.Issue("good", redistest.Subject{}), authority.Issue("other", redistest.Subject{})
	past := authority.Issue("past", redistest.Subject{NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(0, 0, -1)})
	future := authority.Issue("future", redistest.Subject{NotBefore: time.Now().AddDate(0, 0, 1), NotAfter: time.Now().AddDate(1, 0, 0)})
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open := file("open.key", "")
	copyTo(t, good.KeyFile, open, 0)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	loop, pipe := filepath.Join(dir, "loop"), filepath.Join(dir, "pipe")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := file("huge", strings.Repeat("#", 1<<20+1))
	text := file("text", "geheim")
	damaged := file("damaged", "-----BEGIN CERTIFICATE-----\nZ2VoZWlt\n-----END CERTIFICATE-----\n")
	damagedKey := file("damaged.key", "-----BEGIN PRIVATE KEY-----\nZ2VoZWlt\n-----END PRIVATE KEY-----\n")
	locked := file("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nZ2VoZWlt\n-----END ENCRYPTED PRIVATE KEY-----\n")
	withKey, withCert := "REDIS_KEY="+good.KeyFile, "REDIS_CERT="+good.CertFile
	for _, c := range []struct{ about, set, beside, want string }{
		{"missing", "REDIS_CA_CERT=" + dir + "/none", "", "cannot be read: no such file or directory"},
		{"directory", "REDIS_CA_CERT=" + dir, "", "cannot be read: a directory"},
		{"loop", "REDIS_CA_CERT=" + loop, "", "cannot be read: too many levels of symbolic links"},
		{"pipe", "REDIS_CA_CERT=" + pipe, "", "cannot be read: not a regular file"},
		{"too large", "REDIS_CA_CERT=" + huge, "", "cannot be read: larger than 1MiB"},
		{"no PEM", "REDIS_CA_CERT=" + text, "", "no PEM certificate in it"},
		{"a key", "REDIS_CA_CERT=" + good.KeyFile, "", "no PEM certificate in it"},
		{"damaged", "REDIS_CA_CERT=" + damaged, "", "a certificate in it is damaged"},
		{"expired", "REDIS_CA_CERT=" + past.CertFile, "", "the certificate expired on " + time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)},

		{"missing", "REDIS_CERT=" + dir + "/none", withKey, "cannot be read: no such file or directory"},
		{"a key", "REDIS_CERT=" + good.KeyFile, withKey, "no PEM certificate in it"},
		{"expired", "REDIS_CERT=" + past.CertFile, "REDIS_KEY=" + past.KeyFile, "the certificate expired on"},
		{"not yet valid", "REDIS_CERT=" + future.CertFile, "REDIS_KEY=" + future.KeyFile, "the certificate is not valid before"},
		{"without its key", withCert, "", "REDIS_CERT without REDIS_KEY"},

		{"without its certificate", withKey, "", "REDIS_KEY without REDIS_CERT"},
		{"missing", "REDIS_KEY=" + dir + "/none", withCert, "cannot be read: no such file or directory"},
		{"directory", "REDIS_KEY=" + dir, withCert, "cannot be read: a directory"},
		{"too large", "REDIS_KEY=" + huge, withCert, "cannot be read: larger than 1MiB"},
		{"a certificate", "REDIS_KEY=" + good.CertFile, withCert, "no PEM private key in it"},
		{"no PEM", "REDIS_KEY=" + text, withCert, "no PEM private key in it"},
		{"damaged", "REDIS_KEY=" + damagedKey, withCert, "the key in it is damaged or of an unknown kind"},
		{"encrypted", "REDIS_KEY=" + locked, withCert, "the key in it is encrypted"},
		{"of another certificate", "REDIS_KEY=" + other.KeyFile, withCert, "not the key of the certificate in REDIS_CERT"},
		{"open to all", "REDIS_KEY=" + open, withCert, "every user of this host can read it"},
	} {
		name, _, _ := strings.Cut(c.set, "=")
		t.Run(name+" "+c.about, func(t *testing.T) {
			_, report := overTLS(t, c.set, c.beside)
			if len(report.Problems) != 1 || report.Problems[0].Variable != name || !strings.Contains(report.Problems[0].What, c.want) {
				t.Fatalf("problems = %v, want %s: %s", report.Problems, name, c.want)
			}
			checkLines(t, report)
			if shown := shownFor(t, c.set, c.beside); strings.Contains(shown, "geheim") || strings.Contains(shown, "Z2Vo") {
				t.Errorf("the file is shown: %s", shown)
			}
		})
	}
}

func TestAFileOfCertificatesThatMayNotBeReadIsNamed(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads every file")
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, nil, 0); err != nil {
		t.Fatal(err)
	}
	_, report := overTLS(t, "REDIS_CA_CERT="+path)
	expect(t, "problems", report.Problems, "REDIS_CA_CERT: cannot be read: permission denied")
}

func TestACertificateThatExpiresSoonIsWarnedOf(t *testing.T) {
	now := time.Now()
	authority := redistest.NewAuthority(t)
	soon := authority.Issue("soon", redistest.Subject{NotAfter: now.AddDate(0, 0, 8)})
	for _, c := range []struct {
		days    int
		warned  string
		problem string
	}{
		{0, "", ""},
		{2, "REDIS_CERT: the certificate expires on " + now.UTC().AddDate(0, 0, 8).Format(time.DateOnly), ""},
		{9, "", "REDIS_CERT: the certificate expired on"},
	} {
		from := source(t, "REDIS_ENABLED=true", "REDIS_URL=rediss://redis.example", "REDIS_CERT="+soon.CertFile, "REDIS_KEY="+soon.KeyFile)
		from.Now = now.AddDate(0, 0, c.days)
		_, report := config.Load(from)
		expect(t, "warnings", report.Warnings, c.warned)
		expect(t, "problems", report.Problems, c.problem)
	}
	from := source(t, "REDIS_ENABLED=true", "REDIS_URL=rediss://redis.example", "REDIS_CA_CERT="+authority.CertFile)
	from.Now = now.AddDate(0, 0, 25)
	_, report := config.Load(from)
	expect(t, "warnings", report.Warnings, "REDIS_CA_CERT: the certificate expires on")
}

func TestABundleOfAuthoritiesMayHoldExpiredOnes(t *testing.T) {
	authority := redistest.NewAuthority(t)
	past := authority.Issue("past", redistest.Subject{NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(0, 0, -1)})
	good := authority.Issue("good", redistest.Subject{NotAfter: time.Now().AddDate(1, 0, 0)})
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	var text []byte
	for _, path := range []string{past.CertFile, good.CertFile} {
		one, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text = append(append(text, one...), "a comment between them\n"...)
	}
	if err := os.WriteFile(bundle, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := tlsOf(t, "REDIS_CA_CERT="+bundle); got.RootCAs == nil {
		t.Error("the authorities are the system's, want those of the bundle")
	}
}

func TestFilesAreFoundFromTheWorkingDirectory(t *testing.T) {
	authority := redistest.NewAuthority(t)
	from := source(t, "REDIS_ENABLED=true", "REDIS_HOST=redis.example", "REDIS_TLS=true", "REDIS_CA_CERT=certs/../ca.pem")
	copyTo(t, authority.CertFile, filepath.Join(from.Dir, "ca.pem"), 0)
	mustLoad(t, from)
}

func TestFilesForTLSWithoutTLSAreRefused(t *testing.T) {
	for _, set := range []string{"REDIS_CA_CERT=/ca.pem", "REDIS_CERT=/a.pem", "REDIS_KEY=/a.key", "REDIS_SERVER_NAME=redis.internal"} {
		name, _, _ := strings.Cut(set, "=")
		for _, beside := range []string{"REDIS_URL=redis://localhost", "REDIS_HOST=localhost", "REDIS_URL=unix:///run/redis.sock"} {
			_, report := onRedis(t, set, beside)
			expect(t, beside+": problems", report.Problems, name+": of no use, for the connection to Redis has no TLS")
			checkLines(t, report)
		}
	}
}
