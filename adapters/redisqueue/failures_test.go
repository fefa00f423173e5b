package redisqueue_test

import (
	"errors"
	"net"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/ports"
)

// answering returns the address of a server that answers all with the words.
func answering(t *testing.T, words string) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("Listen = %v, want no error", err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		request := make([]byte, 4096)
		for {
			if _, err := conn.Read(request); err != nil {
				return
			}
			if _, err := conn.Write([]byte("-" + words + "\r\n")); err != nil {
				return
			}
		}
	}()
	return listener.Addr().String()
}

func TestErrorsThatPassAreKnownByTheirWords(t *testing.T) {
	for words, passes := range map[string]bool{
		"LOADING Redis is loading the dataset in memory":                                                    true,
		"ERR max number of clients reached":                                                                 true,
		"OOM command not allowed when used memory > 'maxmemory'. script: 0a1b, on @user_script:7.":          true,
		"ERR OOM command not allowed when used memory > 'maxmemory'. script: 0a1b, on @user_script:7.":      true,
		"ERR Error running script (call to f_0a1b): @user_script:7: @user_script: 7: -READONLY a replica.":  true,
		"ERR Error running script (call to f_0a1b): @user_script:7: @user_script: 7: -WRONGTYPE Operation.": false,
		"ERR Error running script (call to f_0a1b): @user_script:7: attempt to index a nil value":           false,
		"WRONGTYPE Operation against a key holding the wrong kind of value":                                 false,
		"ERR unknown command": false,
	} {
		backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: answering(t, words)}})
		if err != nil {
			t.Fatalf("New = %v, want a backend", err)
		}
		if err := backend.Ping(t.Context()); err == nil || errors.Is(err, ports.ErrUnavailable) != passes {
			t.Errorf("Ping answered with %q = %v, want ErrUnavailable: %t", words, err, passes)
		}
		if err := backend.Close(); err != nil {
			t.Errorf("Close = %v, want no error", err)
		}
	}
}

// serverError is an error reply.
type serverError string

func (e serverError) Error() string { return string(e) }
func (serverError) RedisError()     {}

func TestRefusedWritesAreKnownInTheWordsOfEveryVersion(t *testing.T) {
	for words, denied := range map[string]bool{
		"NOREPLICAS Not enough good replicas to write.":                                                            true,
		"ERR OOM command not allowed when used memory > 'maxmemory'. script: 0a1b, on @user_script:7.":             true,
		"ERR Error running script (call to f_0a1b): @user_script:7: @user_script: 7: -MISCONF Redis is configured": true,
		"NOPERM this user has no permissions":                                                                      false,
		"ERR OOMPH":                                                                                                false,
	} {
		if got := redisqueue.DeniesWrites(serverError(words)); got != denied {
			t.Errorf("DeniesWrites(%q) = %t, want %t", words, got, denied)
		}
	}
}
