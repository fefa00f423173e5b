package pgtest

import (
	"net/url"
	"sync"
	"testing"

	"github.com/taktwork/takt/core/domain"
)

// roles keeps tests of one server from changing its roles at once: they belong
// to all databases.
//
//nolint:gochecknoglobals // one server for a process
var roles sync.Mutex

// ExecRoles is [Exec] for SQL that changes roles.
func ExecRoles(tb testing.TB, uri domain.Secret, sql string) {
	tb.Helper()
	roles.Lock()
	defer roles.Unlock()
	Exec(tb, uri, sql)
}

// As returns the address of a database with another user.
func As(tb testing.TB, uri domain.Secret, role string) domain.Secret {
	tb.Helper()
	address, err := url.Parse(uri.Reveal())
	if err != nil {
		tb.Fatal(err)
	}
	address.User = url.User(role)
	return domain.NewSecret(address.String())
}
