package redisqueue

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// Connection says where Redis is and as whom to connect. The zero value is
// database 0 of 127.0.0.1:6379, without TLS, as the default user. However it
// is printed, it shows no password.
type Connection struct {
	// Network is "tcp" or "unix"; default "tcp".
	Network string
	// Addr is host:port, or the path of a socket; default 127.0.0.1:6379.
	Addr string
	// Username is the ACL user; empty means the default user.
	Username string
	// Password may be empty if there is no user.
	Password domain.Secret
	// DB is the number of the database.
	DB int
	// TLS, if set, encrypts the connection. It must check certificates, and
	// below TLS 1.2 it is raised to it. Without a server name that of Addr
	// is checked. The connection keeps it: leave it as it is afterwards.
	TLS *tls.Config
}

// The networks.
const (
	networkTCP  = "tcp"
	networkUnix = "unix"
)

const defaultAddr = "127.0.0.1:6379"

// Validate reports all that is wrong with the connection, or nil, without
// connecting.
func (c Connection) Validate() error {
	c = c.withDefaults()
	var wrong []error
	problem := func(text string) { wrong = append(wrong, errors.New("redis connection: "+text)) }
	switch c.Network {
	case networkTCP:
		if host, port, err := net.SplitHostPort(c.Addr); err != nil || host == "" || port == "" {
			problem("the address is not host:port")
		}
	case networkUnix:
		if c.TLS != nil {
			problem("TLS is not for sockets of this host")
		}
	default:
		problem("the network is neither tcp nor unix")
	}
	if c.Username != "" && c.Password.IsZero() {
		problem("a user without a password")
	}
	if c.DB < 0 {
		problem("a negative database")
	}
	if c.TLS != nil && c.TLS.InsecureSkipVerify {
		problem("TLS without a check of the certificate")
	}
	return errors.Join(wrong...)
}

// String is the address as a URL without user and password, for logs.
func (c Connection) String() string {
	c = c.withDefaults()
	switch {
	case c.Network == networkUnix:
		return fmt.Sprintf("unix://%s?db=%d", c.Addr, c.DB)
	case c.TLS != nil:
		return fmt.Sprintf("rediss://%s/%d", c.Addr, c.DB)
	}
	return fmt.Sprintf("redis://%s/%d", c.Addr, c.DB)
}

func (c Connection) withDefaults() Connection {
	if c.Network == "" {
		c.Network = networkTCP
		if strings.HasPrefix(c.Addr, "/") {
			c.Network = networkUnix
		}
	}
	if c.Addr == "" && c.Network == networkTCP {
		c.Addr = defaultAddr
	}
	if c.TLS != nil && c.TLS.MinVersion < tls.VersionTLS12 {
		c.TLS = c.TLS.Clone()
		c.TLS.MinVersion = tls.VersionTLS12
	}
	return c
}
