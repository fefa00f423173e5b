// Command worker is Takt's own worker: the engine with its built-in features.
package main

import (
	"os"
	_ "time/tzdata" // zones work on hosts and in images that have no data of their own

	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/lifecycle"
	"github.com/taktwork/takt/app/tokens"
)

// Set by the linker.
var (
	version = "dev"
	commit  string //nolint:gochecknoglobals // see above
)

func main() {
	os.Exit(cli.Main(cli.Build{Version: version, Commit: commit}, lifecycle.Module(), tokens.Module()))
}
