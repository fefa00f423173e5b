// Package history answers questions about the past from records: why a tick
// ran, ran late or did not run, and which runs there were. [Explain] is
// pure; [Gather] and [List] read what they need from a [Reader]. Nothing here
// writes a record: the runner does.
package history
