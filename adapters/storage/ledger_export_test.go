package storage

import "time"

// WithMemory returns the ledger with other bounds of its memory of ended runs.
func (l *Ledger) WithMemory(ticks, every int64) *Ledger {
	l.memory = memory{ticks: ticks, others: ticks, every: every}
	return l
}

// WithReplicaLease returns the ledger with another lease of replicas.
func (l *Ledger) WithReplicaLease(lease time.Duration) *Ledger {
	l.replicaLease = lease
	return l
}
