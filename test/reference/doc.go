// Package reference shows that Takt does what the worker it replaces does. A
// worker is configured by its environment, as the binary is, and watched in
// virtual time. The tests alone have code; docs/parity.md lists them.
package reference
