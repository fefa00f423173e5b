// Package keydump compares what two runs left in Redis. [Take] reads every key
// of a prefix as text, with what differs between any two runs (times, tokens,
// names of workers, random ids, the order of members of JSON) made equal, so
// that two dumps are equal when a Node program could not tell the runs apart.
package keydump
