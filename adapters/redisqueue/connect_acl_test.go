package redisqueue_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// handshake is what a client needs to connect, and no more.
var handshake = []string{"-@all", "+hello", "+auth", "+select", "+client|setname", "+ping"}

func TestClientsConnectWithTheLeastRights(t *testing.T) {
	server := redistest.Start(t, append([]string{"--user", "worker", "on", ">" + canary, "~bull:*", "resetchannels"}, handshake...)...)
	connection := redisqueue.Connection{Addr: server.Addr, Username: "worker", Password: domain.NewSecret(canary), DB: 2}
	blocking := redisqueue.NewBlockingClient(connection, "bull", redisqueue.ClientName("bull", "mail", "host-1"))
	defer blocking.Close() //nolint:errcheck // the test is over
	if err := ping(t, dialled(t, connection)); err != nil {
		t.Errorf("Ping() = %v, want nil", err)
	}
	if err := ping(t, blocking); err != nil {
		t.Errorf("Ping() of the blocking client = %v, want nil", err)
	}
	if err := blocking.Get(t.Context(), "bull:x").Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("Get() = %v, want NOPERM", err)
	}
	log, err := server.Client().Do(t.Context(), "acl", "log").Slice()
	if err != nil || len(log) != 1 {
		t.Errorf("the server refused %v, %v, want GET alone", log, err)
	}
}

func TestNoRefusalHoldsThePassword(t *testing.T) {
	unknown := []string{"--rename-command", "HELLO", "", "--rename-command", "AUTH", ""}
	for _, c := range []struct {
		about, user, password, want string
		args                        []string
	}{
		{"wrong password", "", canary, "WRONGPASS", []string{"--requirepass", "other"}},
		{"unknown user", "nobody", canary, "WRONGPASS", nil},
		{"commands unknown", "worker", canary, "unknown command", unknown},
		{"commands unknown, cut short", "worker", canary + strings.Repeat("x", 300), "unknown command", unknown},
		{"a word of the refusal", "worker", "unknown", "in words that hold the password", unknown},
		{"a letter of the refusal", "", "W", "WRONGPASS", []string{"--requirepass", "other"}},
	} {
		t.Run(c.about, func(t *testing.T) {
			server := redistest.Start(t, c.args...)
			client := dialled(t, redisqueue.Connection{Addr: server.Addr, Username: c.user, Password: domain.NewSecret(c.password)})
			err := ping(t, client)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Ping() = %v, want %s", err, c.want)
			}
			if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, canary) {
				t.Errorf("the password is shown: %s", text)
			}
		})
	}
}
