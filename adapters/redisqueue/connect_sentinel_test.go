package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// sentinelRights is what deploy/redis-acl.conf says that a user of sentinels
// needs.
var sentinelRights = []any{"resetchannels", "resetkeys", "-@all", "+auth", "+hello", "+sentinel|get-master-addr-by-name"}

func TestSentinelsAreAskedWithTheLeastRights(t *testing.T) {
	t.Parallel()
	sentinels := redistest.StartSentinels(t, 1)
	for _, sentinel := range sentinels.Sentinels {
		words := append([]any{"ACL", "SETUSER", "asker", "on", ">" + canary}, sentinelRights...)
		if err := sentinel.Client().Do(t.Context(), words...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for password, want := range map[string]string{canary: "", canary + "-wrong": "WRONGPASS"} {
		backend := openSentinels(t, sentinels, func(c *redisqueue.Config) {
			c.Connection.Sentinel.Username, c.Connection.Sentinel.Password = "asker", domain.NewSecret(password)
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := backend.Await(ctx)
		cancel()
		if want == "" && err != nil {
			t.Errorf("Await = %v, want no error", err)
		}
		if want != "" && (!errors.Is(err, ports.ErrUnavailable) || !strings.Contains(err.Error(), want)) {
			t.Errorf("Await = %v, want %v with %s", err, ports.ErrUnavailable, want)
		}
		if text := fmt.Sprintf("%v %+v %v", err, backend, openedWith(sentinels, password)); strings.Contains(text, canary) {
			t.Errorf("the password is shown: %s", text)
		}
	}
	for _, sentinel := range sentinels.Sentinels {
		log, err := sentinel.Client().Do(t.Context(), "ACL", "LOG").Slice()
		if err != nil || strings.Contains(fmt.Sprint(log), "reason command") {
			t.Errorf("ACL LOG = %v, %v, want no command refused", log, err)
		}
	}
}

// openedWith is a connection with the password of the sentinels.
func openedWith(sentinels *redistest.Sentinels, password string) redisqueue.Connection {
	return redisqueue.Connection{Sentinel: &redisqueue.Sentinel{
		Primary: sentinels.Name, Addrs: sentinels.Addrs(), Username: "asker", Password: domain.NewSecret(password),
	}}
}

func TestAPrimaryThatNobodyKnowsIsWaitedFor(t *testing.T) {
	t.Parallel()
	sentinels := redistest.StartSentinels(t, 1)
	backend := openSentinels(t, sentinels, func(c *redisqueue.Config) { c.Connection.Sentinel.Primary = "mymaster" })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := backend.Await(ctx)
	if !errors.Is(err, ports.ErrUnavailable) || !strings.Contains(err.Error(), "it knows no primary of that name") || !strings.Contains(err.Error(), "/mymaster/0") {
		t.Errorf("Await = %v, want %v with the name that no sentinel knows", err, ports.ErrUnavailable)
	}
	if since, reason := backend.Health(); since.IsZero() || reason == nil {
		t.Errorf("Health = %v, %v, want since when and why", since, reason)
	}
}

func TestConnectionsToManyPlacesAreChecked(t *testing.T) {
	t.Parallel()
	good := &redisqueue.Sentinel{Primary: "m", Addrs: []string{"s:1"}}
	for about, c := range map[string]struct {
		connection redisqueue.Connection
		want       string
	}{
		"nodes":              {redisqueue.Connection{Nodes: []string{"a:1", "b:2"}}, ""},
		"sentinels":          {redisqueue.Connection{Sentinel: good, DB: 3}, ""},
		"an address as well": {redisqueue.Connection{Nodes: []string{"a:1"}, Addr: "b:2"}, "an address beside nodes or sentinels"},
		"both":               {redisqueue.Connection{Nodes: []string{"a:1"}, Sentinel: good}, "both nodes and sentinels"},
		"a database":         {redisqueue.Connection{Nodes: []string{"a:1"}, DB: 1}, "database 0 alone"},
		"no port":            {redisqueue.Connection{Nodes: []string{"a"}}, "the address of a node is not host:port"},
		"no sentinel":        {redisqueue.Connection{Sentinel: &redisqueue.Sentinel{Primary: "m"}}, "the address of a sentinel is not host:port"},
		"no name":            {redisqueue.Connection{Sentinel: &redisqueue.Sentinel{Addrs: []string{"s:1"}}}, "without the name of the primary"},
		"no password": {
			redisqueue.Connection{Sentinel: &redisqueue.Sentinel{Primary: "m", Addrs: []string{"s:1"}, Username: "u"}},
			"a user of the sentinels without a password",
		},
	} {
		err := c.connection.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Validate = %v, want %q", about, err, c.want)
		}
	}
	for want, c := range map[string]redisqueue.Connection{
		"redis+cluster://a:1,b:2":  {Nodes: []string{"a:1", "b:2"}, Password: domain.NewSecret(canary)},
		"redis+sentinel://s:1/m/3": {Sentinel: good, DB: 3, Password: domain.NewSecret(canary)},
	} {
		if got := c.String(); got != want {
			t.Errorf("String = %s, want %s", got, want)
		}
	}
}
