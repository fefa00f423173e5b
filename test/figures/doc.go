// Package figures holds what the measuring commands below test/ share: a
// figure with its goal and spread, the table of them, statistics, and what
// the machine and its processes have used.
package figures
