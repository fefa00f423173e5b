// Package interop holds no code of its own: its tests are the checks of the
// protocol between Takt and BullMQ, run against real Node clients of each
// supported version. Package node drives those clients, package keydump
// compares what two runs left in Redis. `make interop` runs all of them,
// `make test` a part.
package interop
