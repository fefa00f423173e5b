package redisqueue

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// Connection says where Redis is and as whom to connect: one server, a primary
// that sentinels know, or a cluster. The zero value is database 0 of
// 127.0.0.1:6379, without TLS, as the default user. However it is printed, it
// shows no password.
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
	// below TLS 1.2 it is raised to it. Without a server name that of the
	// address is checked. The connection keeps it: leave it as it is afterwards.
	TLS *tls.Config
	// Nodes are nodes of a Redis Cluster, each host:port. One that answers is
	// enough: it is asked for the others, and for the one with the queues' keys.
	// Network, Addr and DB are empty then.
	Nodes []string
	// Sentinel, if set, says who knows where the primary is. Network and Addr
	// are empty then.
	Sentinel *Sentinel
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
	switch {
	case c.follows():
		c.validatePlaces(problem)
	case c.Network == networkTCP:
		if !isHostPort(c.Addr) {
			problem("the address is not host:port")
		}
	case c.Network != networkUnix:
		problem("the network is neither tcp nor unix")
	case c.TLS != nil:
		problem("TLS is not for sockets of this host")
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

// follows tells whether the server is another one at different times.
func (c Connection) follows() bool { return len(c.Nodes) > 0 || c.Sentinel != nil }

// withoutPlaces says as whom to connect to a server that was found.
func (c Connection) withoutPlaces() Connection {
	return Connection{Username: c.Username, Password: c.Password, DB: c.DB, TLS: c.TLS}
}

// validatePlaces reports what is wrong with how the server is found.
func (c Connection) validatePlaces(problem func(string)) {
	if c.Network != "" || c.Addr != "" {
		problem("an address beside nodes or sentinels")
	}
	if len(c.Nodes) > 0 && c.Sentinel != nil {
		problem("both nodes and sentinels")
	}
	if len(c.Nodes) > 0 && c.DB != 0 {
		problem("a cluster has database 0 alone")
	}
	if !allHostPort(c.Nodes) {
		problem("the address of a node is not host:port")
	}
	if c.Sentinel != nil {
		c.Sentinel.validate(problem)
	}
}

func allHostPort(addrs []string) bool {
	return !slices.ContainsFunc(addrs, func(addr string) bool { return !isHostPort(addr) })
}

func isHostPort(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	return err == nil && host != "" && port != ""
}

// String is the address as a URL without user and password, for logs.
func (c Connection) String() string {
	c = c.withDefaults()
	scheme := "redis"
	if c.TLS != nil {
		scheme = "rediss"
	}
	switch {
	case c.Sentinel != nil:
		return fmt.Sprintf("%s+sentinel://%s/%s/%d", scheme, strings.Join(c.Sentinel.Addrs, ","), c.Sentinel.Primary, c.DB)
	case len(c.Nodes) > 0:
		return fmt.Sprintf("%s+cluster://%s", scheme, strings.Join(c.Nodes, ","))
	case c.Network == networkUnix:
		return fmt.Sprintf("unix://%s?db=%d", c.Addr, c.DB)
	}
	return fmt.Sprintf("%s://%s/%d", scheme, c.Addr, c.DB)
}

func (c Connection) withDefaults() Connection {
	c.TLS = atLeastTLS12(c.TLS)
	if c.follows() {
		return c
	}
	if c.Network == "" {
		c.Network = networkTCP
		if strings.HasPrefix(c.Addr, "/") {
			c.Network = networkUnix
		}
	}
	if c.Addr == "" && c.Network == networkTCP {
		c.Addr = defaultAddr
	}
	return c
}

func atLeastTLS12(config *tls.Config) *tls.Config {
	if config == nil || config.MinVersion >= tls.VersionTLS12 {
		return config
	}
	config = config.Clone()
	config.MinVersion = tls.VersionTLS12
	return config
}
