// Package cli is the worker's command line: every command, its flags, its
// output and its exit codes. A worker of one's own has it whole:
//
//	func main() {
//		os.Exit(cli.Main(cli.Build{Version: version}, lifecycle.Module(), reports.Module))
//	}
//
// Data goes to stdout; logs, notes and errors go to stderr. Signals belong to
// this package: the first SIGINT, SIGTERM or SIGHUP drains a running worker,
// the second gives back at once what is under way, the third exits.
package cli
