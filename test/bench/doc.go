// Command bench measures what Takt promises about speed and size, and prints
// one table: each figure with its goal, and how far it is from it.
//
//	go run ./test/bench [-run regexp] [-json] [-worker path]
//
// It measures the built binary from outside, and the engine through the
// constructors that the binary uses. Nothing here passes or fails: the exit
// code tells whether measuring worked. Figures are worth what the quiet of
// the machine is worth; the spread of the runs shows it.
package main
