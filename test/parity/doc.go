// Package parity checks what the documentation claims against the repository: that every row of the parity table
// names a test that exists or the later work it waits for, that links lead somewhere, that the make targets named
// are there, and that every direct dependency is accounted for. It reads files and judges nothing else: whether
// the named tests pass is for go test to say.
package parity
