package config

import "path"

// sslMode returns how the connection is protected.
func (l *loader) sslMode(address databaseAddress, parts databaseParts) string {
	local := path.IsAbs(address.host) || isLoopback(address.host)
	name, mode := nameDBSSLMode, parts.SSLMode
	switch {
	case address.mode != "":
		l.checkBesideURI(address.mode, mode)
		name, mode = nameDBURI, address.mode
		l.settleFrom(nameDBURI, nameDBSSLMode, mode)
	case mode == "" && local:
		mode = sslDisable
	case mode == "":
		mode = sslVerifyFull
	}
	l.settle(nameDBSSLMode, mode)
	if mode != sslVerifyFull && !local {
		l.judgeWeakMode(name, mode, parts.RequireTLS)
	}
	return mode
}

// checkBesideURI refuses two modes: one of them was not meant.
func (l *loader) checkBesideURI(inURI, mode string) {
	if mode == "" || mode == inURI {
		return
	}
	problem := l.mistakeHere(nameDBSSLMode, "contradicts the sslmode of "+nameDBURI)
	problem.Expected, problem.Example = "the same mode, or one of the two alone", inURI
	l.report(problem)
}

// judgeWeakMode warns of a connection to another host that somebody on the way
// can read, or take over.
func (l *loader) judgeWeakMode(name, mode string, refuse bool) {
	what := map[string]string{
		sslDisable:  "no TLS, so that password and data cross the network in plaintext",
		sslRequire:  "TLS that does not check who answers",
		sslVerifyCA: "TLS that does not check the host's name",
	}[mode]
	problem := Problem{
		Variable: name, Origin: l.values[name].origin, What: "the connection to Postgres on another host has " + what,
		Got: quoted(mode), Expected: "the mode " + sslVerifyFull,
	}
	if refuse {
		problem.What += ", and " + nameDBTLS + "=true (" + l.values[nameDBTLS].origin.String() + ") insists on more"
		problem.Example = nameDBSSLMode + "=" + sslVerifyFull
		l.report(problem)
		return
	}
	problem.Expected += "; " + nameDBTLS + "=true insists on it"
	l.warnings = append(l.warnings, problem)
}

// databaseAuthorities returns those that are trusted in place of the system's,
// as PEM.
func (l *loader) databaseAuthorities(mode, text string) string {
	found := l.values[nameDBCACert]
	if text == "" || found.bad {
		return ""
	}
	if mode == sslDisable {
		problem := l.mistakeHere(nameDBCACert, "of no use, for the connection to Postgres has no TLS")
		problem.Expected, problem.Example = "a mode with TLS beside it", nameDBSSLMode+"="+sslVerifyFull
		l.report(problem)
		return ""
	}
	if pem, ok := pemText(text); ok {
		certificates, err := parseCertificates([]byte(pem))
		l.areGood(nameDBCACert, certificates, err)
		return pem
	}
	certificates, err := readCertificates(l.absolute(text))
	if !l.areGood(nameDBCACert, certificates, err) {
		return ""
	}
	return encodeCertificates(certificates)
}
