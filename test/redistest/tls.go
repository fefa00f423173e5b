package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Authority signs certificates for tests and keeps them in files.
type Authority struct {
	// CertFile holds the authority's own certificate.
	CertFile string

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Pair are the files of a certificate and its key.
type Pair struct {
	CertFile, KeyFile string
}

// Subject says whom a certificate is for. The zero value is a client whose
// certificate is valid from an hour ago for 30 days.
type Subject struct {
	// Names are host names and addresses.
	Names []string
	// NotBefore and NotAfter are when it is valid.
	NotBefore, NotAfter time.Time
}

// NewAuthority makes an authority with a key of its own.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{t: tb, dir: tb.TempDir(), key: newKey(tb)}
	template := certificate(Subject{})
	template.Subject.CommonName = "takt test authority"
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	a.CertFile = filepath.Join(a.dir, "ca.pem")
	a.cert = a.sign(template, &a.key.PublicKey, a.CertFile)
	return a
}

// Issue makes a certificate and its key, in files of the name.
func (a *Authority) Issue(name string, subject Subject) Pair {
	a.t.Helper()
	pair := Pair{CertFile: filepath.Join(a.dir, name+".pem"), KeyFile: filepath.Join(a.dir, name+".key")}
	key := newKey(a.t)
	a.sign(certificate(subject), &key.PublicKey, pair.CertFile)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatalf("encode key: %v", err)
	}
	writePEM(a.t, pair.KeyFile, "PRIVATE KEY", der)
	return pair
}

// StartTLS starts a server that speaks TLS alone, with a certificate of the
// authority for the names. With "--tls-auth-clients", "yes" it wants one of
// the authority's from its clients, too.
func StartTLS(tb testing.TB, a *Authority, names []string, args ...string) *Server {
	tb.Helper()
	return startOn(tb, freePort(tb), a.Secure(names...).prepare, args...)
}

// Secured starts servers that speak TLS alone, to one another as well, each with
// a certificate of its own for the names.
type Secured struct {
	authority *Authority
	names     []string
}

// Secure returns a starter of servers with the names.
func (a *Authority) Secure(names ...string) Secured { return Secured{authority: a, names: names} }

// StartCluster is [StartCluster] of such nodes.
func (s Secured) StartCluster(primaries int, args ...string) *Cluster {
	s.authority.t.Helper()
	args = append([]string{"--tls-cluster", "yes", "--tls-replication", "yes"}, args...)
	return startCluster(s.authority.t, primaries, s.prepare, args...)
}

// StartSentinels is [StartSentinels] of such servers and sentinels. The settings
// in args are those of both.
func (s Secured) StartSentinels(replicas int, args ...string) *Sentinels {
	s.authority.t.Helper()
	prepare := func(server *Server) {
		s.prepare(server)
		server.args = append(append(server.args, "--tls-replication", "yes"), args...)
	}
	return startSentinels(s.authority.t, replicas, prepare)
}

// prepare makes a server speak TLS alone, before it is started.
func (s Secured) prepare(server *Server) {
	pair := s.authority.Issue("server-"+strconv.Itoa(server.Port), Subject{Names: s.names})
	server.security = s.authority.security(s.names)
	server.args = append(server.args,
		"--port", "0", "--tls-port", strconv.Itoa(server.Port),
		"--tls-cert-file", pair.CertFile, "--tls-key-file", pair.KeyFile, "--tls-ca-cert-file", s.authority.CertFile,
		"--tls-auth-clients", "no")
}

// security reaches a server with a certificate for the names, whether or not
// it wants one, too.
func (a *Authority) security(names []string) *tls.Config {
	a.t.Helper()
	pair := a.Issue("tests", Subject{})
	certificate, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		a.t.Fatalf("load certificate: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}, ServerName: names[0], MinVersion: tls.VersionTLS12}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("make key: %v", err)
	}
	return key
}

func certificate(subject Subject) *x509.Certificate {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "takt test subject"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 30),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if !subject.NotBefore.IsZero() {
		template.NotBefore = subject.NotBefore
	}
	if !subject.NotAfter.IsZero() {
		template.NotAfter = subject.NotAfter
	}
	for _, name := range subject.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return template
}

// sign writes the certificate into the file. Without one of its own yet, the
// authority signs itself.
func (a *Authority) sign(template *x509.Certificate, public *ecdsa.PublicKey, file string) *x509.Certificate {
	a.t.Helper()
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		a.t.Fatalf("sign certificate: %v", err)
	}
	writePEM(a.t, file, "CERTIFICATE", der)
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatalf("parse certificate: %v", err)
	}
	return signed
}

func writePEM(tb testing.TB, file, kind string, der []byte) {
	tb.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		tb.Fatalf("write certificate: %v", err)
	}
}
