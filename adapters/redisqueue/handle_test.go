package redisqueue_test

import (
	"errors"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

func TestBackendQueue_namesAQueue(t *testing.T) {
	b, err := redisqueue.New(redisqueue.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	queue, err := b.Queue("mail")
	if err != nil || queue.Name() != "mail" {
		t.Errorf("Queue(mail) = %v, %v, want the queue mail", queue, err)
	}
	if _, err := b.Queue("a:b"); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("Queue(a:b) = %v, want %v", err, domain.ErrInvalid)
	}
}
