package config

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"
)

const (
	pemLimit = 1 << 20
	// othersRead is the right that makes a file readable by every user of a host.
	othersRead fs.FileMode = 0o004
)

// readCertificates returns all certificates of the file, at least one. Errors
// of this file repeat nothing of what files hold.
func readCertificates(path string) ([]*x509.Certificate, error) {
	text, _, err := readRegular(path, pemLimit)
	if err != nil {
		return nil, errors.New("cannot be read: " + causeOf(err))
	}
	return parseCertificates(text)
}

// parseCertificates returns all certificates of the PEM text, at least one.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, block := range pemBlocks(text) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("a certificate in it is damaged")
		}
		all = append(all, certificate)
	}
	if len(all) == 0 {
		return nil, errors.New("no PEM certificate in it")
	}
	return all, nil
}

// privateKey is a key that can sign.
type privateKey struct {
	crypto.Signer
}

func (k privateKey) belongsTo(certificate *x509.Certificate) bool {
	public, ok := certificate.PublicKey.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && public.Equal(k.Public())
}

// readKey returns the private key of the file.
func readKey(path string) (privateKey, error) {
	text, mode, err := readRegular(path, pemLimit)
	switch {
	case err != nil:
		return privateKey{}, errors.New("cannot be read: " + causeOf(err))
	case mode&othersRead != 0:
		return privateKey{}, errors.New("every user of this host can read it; take that right away with chmod o-r")
	}
	for _, block := range pemBlocks(text) {
		switch {
		case !strings.HasSuffix(block.Type, "PRIVATE KEY"):
			continue
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return privateKey{}, errors.New("the key in it is encrypted, and nothing can decrypt it here")
		}
		if key, ok := parseKey(block.Bytes); ok {
			return key, nil
		}
		return privateKey{}, errors.New("the key in it is damaged or of an unknown kind")
	}
	return privateKey{}, errors.New("no PEM private key in it")
}

func parseKey(der []byte) (privateKey, bool) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		signer, ok := key.(crypto.Signer)
		return privateKey{signer}, ok
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return privateKey{key}, true
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	return privateKey{key}, err == nil
}

func pemBlocks(text []byte) []*pem.Block {
	var blocks []*pem.Block
	for {
		block, rest := pem.Decode(text)
		if block == nil || bytes.Equal(rest, text) {
			return blocks
		}
		blocks, text = append(blocks, block), rest
	}
}

// checkValidity wants one of the certificates to be valid now.
func checkValidity(certificates []*x509.Certificate, now time.Time) error {
	if slices.ContainsFunc(certificates, func(c *x509.Certificate) bool { return !now.Before(c.NotBefore) && !now.After(c.NotAfter) }) {
		return nil
	}
	if first := certificates[0]; now.Before(first.NotBefore) {
		return errors.New("the certificate is not valid before " + first.NotBefore.UTC().Format(time.DateTime) + " UTC")
	}
	return errors.New("the certificate expired on " + latestExpiry(certificates).UTC().Format(time.DateOnly))
}

func latestExpiry(certificates []*x509.Certificate) time.Time {
	latest := certificates[0].NotAfter
	for _, certificate := range certificates {
		if certificate.NotAfter.After(latest) {
			latest = certificate.NotAfter
		}
	}
	return latest
}

func tlsCertificate(certificates []*x509.Certificate, key privateKey) *tls.Certificate {
	made := &tls.Certificate{PrivateKey: key.Signer, Leaf: certificates[0]}
	for _, certificate := range certificates {
		made.Certificate = append(made.Certificate, certificate.Raw)
	}
	return made
}

// encodeCertificates is parseCertificates the other way round.
func encodeCertificates(certificates []*x509.Certificate) string {
	var text strings.Builder
	for _, certificate := range certificates {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	}
	return text.String()
}
