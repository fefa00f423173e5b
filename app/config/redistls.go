package config

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// expiryWarning is how long before its end a certificate is warned of.
const expiryWarning = 7 * day

// redisTLS is the TLS configuration of a connection to the host. It is usable
// also when something was reported.
func (l *loader) redisTLS(parts redisParts, host string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if parts.ServerName != "" {
		config.ServerName = parts.ServerName
	}
	if parts.CACert != "" && !l.values[nameRedisCACert].bad {
		config.RootCAs = l.authoritiesOf(nameRedisCACert, parts.CACert)
	}
	l.clientCertificate(config, parts)
	return config
}

// authoritiesOf reads those that are trusted in place of the system's.
func (l *loader) authoritiesOf(name, path string) *x509.CertPool {
	certificates, err := readCertificates(l.absolute(path))
	if !l.areGood(name, certificates, err) {
		return nil
	}
	pool := x509.NewCertPool()
	for _, certificate := range certificates {
		pool.AddCert(certificate)
	}
	return pool
}

// areGood reports what is wrong with authorities, or will be soon.
func (l *loader) areGood(name string, authorities []*x509.Certificate, err error) bool {
	if err == nil {
		err = checkValidity(authorities, l.now())
	}
	if err != nil {
		l.report(l.mistakeHere(name, err.Error()))
		return false
	}
	l.warnOfExpiry(name, latestExpiry(authorities))
	return true
}

// clientCertificate has the connection present the certificate.
func (l *loader) clientCertificate(config *tls.Config, parts redisParts) {
	if l.anyBad(nameRedisCert, nameRedisKey) || (parts.Cert == "" && parts.Key == "") {
		return
	}
	for name, other := range map[string]string{nameRedisCert: nameRedisKey, nameRedisKey: nameRedisCert} {
		if l.values[name].text != "" && l.values[other].text == "" {
			problem := l.mistakeHere(name, name+" without "+other)
			problem.Expected, problem.Example = "both or neither", other+"="+l.byName[other].Example
			l.report(problem)
			return
		}
	}
	certificates, err := readCertificates(l.absolute(parts.Cert))
	if err == nil {
		err = checkValidity(certificates[:1], l.now())
	}
	if err != nil {
		l.report(l.mistakeHere(nameRedisCert, err.Error()))
	}
	key, keyErr := readKey(l.absolute(parts.Key))
	if keyErr != nil {
		l.report(l.mistakeHere(nameRedisKey, keyErr.Error()))
	}
	if err != nil || keyErr != nil {
		return
	}
	if !key.belongsTo(certificates[0]) {
		l.report(l.mistakeHere(nameRedisKey, "not the key of the certificate in "+nameRedisCert))
		return
	}
	l.warnOfExpiry(nameRedisCert, certificates[0].NotAfter)
	pair := &pairFiles{cert: l.absolute(parts.Cert), key: l.absolute(parts.Key), latest: tlsCertificate(certificates, key)}
	pair.seen = pair.changed()
	config.GetClientCertificate = pair.present
}

func (l *loader) warnOfExpiry(name string, at time.Time) {
	if at.Sub(l.now()) >= expiryWarning {
		return
	}
	warning := l.mistakeHere(name, "the certificate expires on "+at.UTC().Format(time.DateOnly))
	warning.Expected, warning.Example = "a new one before that", ""
	l.warnings = append(l.warnings, warning)
}

// refuseUnusedTLS reports what was given for TLS to a connection that has none:
// whoever gave it believes that there is.
func (l *loader) refuseUnusedTLS() {
	for _, name := range []string{nameRedisCACert, nameRedisCert, nameRedisKey, nameRedisServerName} {
		if found := l.values[name]; found.set && !found.bad {
			problem := l.mistakeHere(name, "of no use, for the connection to Redis has no TLS")
			problem.Expected, problem.Example = "a rediss:// address or REDIS_TLS=true beside it", nameRedisTLS+"=true"
			l.report(problem)
		}
	}
}

// absolute is the path seen from the directory of the files.
func (l *loader) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.source.Dir, path)
}

func (l *loader) now() time.Time {
	if l.source.Now.IsZero() {
		return time.Now()
	}
	return l.source.Now
}

// pairFiles present the certificate that the files hold at the time. Files that
// are changed half, or badly, leave the one before in use.
type pairFiles struct {
	cert, key string

	mu     sync.Mutex
	latest *tls.Certificate
	seen   [2]time.Time
}

// present is for tls.Config.GetClientCertificate.
func (p *pairFiles) present(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := p.changed()
	if changed == p.seen {
		return p.latest, nil
	}
	certificates, err := readCertificates(p.cert)
	if err != nil {
		return p.latest, nil
	}
	key, err := readKey(p.key)
	if err != nil || !key.belongsTo(certificates[0]) {
		return p.latest, nil
	}
	p.latest, p.seen = tlsCertificate(certificates, key), changed
	return p.latest, nil
}

// changed are the times of the files.
func (p *pairFiles) changed() [2]time.Time {
	var times [2]time.Time
	for i, path := range []string{p.cert, p.key} {
		if info, err := os.Stat(path); err == nil {
			times[i] = info.ModTime()
		}
	}
	return times
}
