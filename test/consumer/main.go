// Command consumer is a worker of someone else: Takt's command line with a
// feature of its own.
package main

import (
	"os"

	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/lifecycle"

	"example.com/consumer/greetings"
)

func main() {
	os.Exit(cli.Main(cli.Build{Version: "dev"}, lifecycle.Module(), greetings.Module()))
}
