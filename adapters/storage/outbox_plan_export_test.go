package storage

// Record makes the outbox keep its statements, and returns how to get them.
// Relays that are made later keep theirs with them.
func (db *DB) Record() func() []Recorded {
	r := &recordingRunner{runner: db.runner}
	db.runner = r
	return func() []Recorded { return r.kept }
}

// OutboxStatements returns all statements of outboxes and relays by name.
func OutboxStatements(db *DB) map[string]string {
	s, outbox := newOutboxSQL(db.dialect), db.Outbox(OutboxConfig{})
	all := map[string]string{
		"newRelay": s.newRelay, "acquire": s.acquire, "renew": s.renew, "delivered": s.delivered, "putAside": s.putAside,
		"reclaim": s.reclaim, "reclaimVolatile": s.reclaimVolatile, "handOver": s.handOver, "yield": s.yield, "release": s.release,
		"queues": outbox.queues, "asideQueues": compile(db.dialect, sqlAsideQueues),
		"aside": compile(db.dialect, sqlAside), "asideOf": compile(db.dialect, sqlAsideOf),
		"retryAside": compile(db.dialect, sqlRetryAside), "dropAside": compile(db.dialect, sqlDropAsideOf(db.dialect)),
	}
	if db.dialect == Postgres {
		for name, rows := range map[string]int{"one": 1, "ten": 10, "fifty": 50, "many": 250} {
			all["insert "+name] = outbox.insertion(rows)
		}
	}
	return all
}
