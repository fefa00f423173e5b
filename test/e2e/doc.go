// Package e2e tests the worker as users meet it: the real binary, its output,
// its signals, its exit codes and its sockets.
package e2e
