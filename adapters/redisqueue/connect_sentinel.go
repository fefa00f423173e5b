package redisqueue

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

// Sentinel says who knows where the primary is, and as whom to ask. However it
// is printed, it shows no password.
type Sentinel struct {
	// Primary is the name that the sentinels know the primary by.
	Primary string
	// Addrs are the sentinels, each host:port. One that answers is enough.
	Addrs []string
	// Username and Password are those of the sentinels, which are not those of
	// the primary. Both may be empty, or the user alone.
	Username string
	Password domain.Secret
	// TLS, if set, encrypts the connections to the sentinels, by the rules of
	// [Connection].
	TLS *tls.Config
}

func (s *Sentinel) validate(problem func(string)) {
	if s.Primary == "" {
		problem("sentinels without the name of the primary")
	}
	if len(s.Addrs) == 0 || !allHostPort(s.Addrs) {
		problem("the address of a sentinel is not host:port")
	}
	if s.Username != "" && s.Password.IsZero() {
		problem("a user of the sentinels without a password")
	}
	if s.TLS != nil && s.TLS.InsecureSkipVerify {
		problem("TLS to the sentinels without a check of the certificate")
	}
}

// sentinelFinder asks sentinels for the primary.
type sentinelFinder struct {
	guides
	primary string
}

func newSentinelFinder(s *Sentinel) *sentinelFinder {
	as := Connection{Username: s.Username, Password: s.Password, TLS: s.TLS}
	return &sentinelFinder{guides: guides{what: "sentinel", as: as, addrs: s.Addrs}, primary: s.Primary}
}

var errUnknownPrimary = errors.New("it knows no primary of that name")

// find implements [finder].
func (f *sentinelFinder) find(ctx context.Context) (string, error) {
	return f.ask(ctx, func(ctx context.Context, guide *redis.Client, _ string) (string, error) {
		question := redis.NewStringSliceCmd(ctx, "sentinel", "get-master-addr-by-name", f.primary)
		_ = guide.Process(ctx, question)
		answer, err := question.Result()
		switch {
		case errors.Is(err, redis.Nil):
			return "", errUnknownPrimary
		case err != nil:
			return "", err
		case len(answer) != 2:
			return "", errReply
		}
		return net.JoinHostPort(answer[0], answer[1]), nil
	})
}
