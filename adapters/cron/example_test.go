package cron_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/taktwork/takt/adapters/cron"
)

func Example() {
	waker := cron.New(slog.New(slog.DiscardHandler))
	rings := make(chan int)
	count := 0
	err := waker.Start(func() {
		count++
		if count < 3 {
			_ = waker.Arm(10 * time.Millisecond)
		}
		rings <- count
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = waker.Arm(0)
	for range 3 {
		fmt.Println("wake", <-rings)
	}
	fmt.Println(waker.Stop(context.Background()), waker.Arm(0))
	// Output:
	// wake 1
	// wake 2
	// wake 3
	// <nil> arm waker: closed
}
