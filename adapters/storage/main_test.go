package storage_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/taktwork/takt/test/pgtest"
)

// TestMain is also the main function of the processes that tests start.
func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		fmt.Fprintln(os.Stderr, playChild(text))
		os.Exit(1)
	}
	code := pgtest.Main(m)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}
