package tokens_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/taktwork/takt/test/pgtest"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}
