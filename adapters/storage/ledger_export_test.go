package storage

import "time"

// WithReplicaLease returns the ledger with another lease of replicas.
func (l *Ledger) WithReplicaLease(lease time.Duration) *Ledger {
	l.replicaLease = lease
	return l
}
