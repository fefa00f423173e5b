package storage

// outboxSQL holds the statements of the relay, written for one dialect. The first
// value of each is the namespace.
type outboxSQL struct {
	newRelay, acquire, renew string
	delivered, putAside      string
	reclaim, reclaimVolatile string
	handOver, yield, release string
}

func newOutboxSQL(dialect Dialect) *outboxSQL {
	s := &outboxSQL{
		newRelay: sqlNewRelay, acquire: sqlAcquireRelay, renew: sqlRenewRelay,
		delivered: sqlDelivered, putAside: sqlPutAside, reclaim: sqlReclaim, reclaimVolatile: sqlReclaimVolatile, handOver: sqlHandOver,
		yield: sqlYieldRelay, release: sqlReleaseRelay,
	}
	if dialect == Postgres {
		s.delivered = sqlDeliveredPostgres
	}
	for _, text := range []*string{
		&s.newRelay, &s.acquire, &s.renew, &s.delivered, &s.putAside, &s.reclaim, &s.reclaimVolatile,
		&s.handOver, &s.yield, &s.release,
	} {
		*text = compile(dialect, *text)
	}
	return s
}

// The queues with rows that a relay may hand over, now or in so many µs, when the
// lease of another one ends. They are found by one step of the index for each: not
// by EXISTS, for which Postgres may first collect all rows of the namespace.
// ?2 the token of the relay that asks.
const sqlOutboxQueues = `
WITH RECURSIVE named (queue) AS (
    SELECT min(o.queue) FROM outbox AS o WHERE o.namespace = ?1
    UNION ALL
    SELECT (SELECT min(o.queue) FROM outbox AS o WHERE o.namespace = ?1 AND o.queue > n.queue)
    FROM named AS n WHERE n.queue IS NOT NULL
)
SELECT n.queue, CASE WHEN r.token <> ?2 THEN @max(coalesce(r.until_us, 0) - clock.at_us, 0) ELSE 0 END
FROM named AS n
    CROSS JOIN (SELECT @now AS at_us LIMIT 1) AS clock
    LEFT JOIN outbox_relays AS r ON r.namespace = ?1 AND r.queue = n.queue
WHERE n.queue IS NOT NULL
    AND ((SELECT 1 FROM outbox AS o WHERE o.namespace = ?1 AND o.queue = n.queue AND o.state = 0 LIMIT 1) IS NOT NULL
        OR (SELECT 1 FROM outbox AS o WHERE o.namespace = ?1 AND o.queue = n.queue AND o.state = 1 LIMIT 1) IS NOT NULL
            AND NOT (coalesce(r.token, 0) = ?2 AND coalesce(r.until_us, 0) > clock.at_us))`

// In all that follow: ?2 the queue, ?3 the token of the relay.

const sqlNewRelay = `
INSERT INTO outbox_relays (namespace, queue, token, until_us) VALUES (?1, ?2, 0, 0) ON CONFLICT DO NOTHING`

// ?4 the lease in µs.
const sqlAcquireRelay = `
UPDATE outbox_relays SET token = ?3, until_us = clock.at_us + ?4
FROM (SELECT @now AS at_us LIMIT 1) AS clock
WHERE namespace = ?1 AND queue = ?2 AND (token = ?3 OR until_us <= clock.at_us)
RETURNING until_us`

// A lease that ran out is still good if nobody else took it since.
// ?4 the lease in µs.
const sqlRenewRelay = `
UPDATE outbox_relays SET until_us = clock.at_us + ?4
FROM (SELECT @now AS at_us LIMIT 1) AS clock
WHERE namespace = ?1 AND queue = ?2 AND token = ?3
RETURNING until_us`

// Rows have the token of who handed them over: a relay deletes only what it has
// seen, in a restored database too.
const sqlDelivered = `
DELETE FROM outbox
WHERE namespace = ?1 AND queue = ?2 AND state = 1 AND token = ?3 AND id IN (SELECT w.old_id FROM @set(old_id bigint))`

const sqlDeliveredPostgres = `
DELETE FROM outbox USING @set(old_id bigint)
WHERE outbox.namespace = w.namespace AND outbox.queue = ?2 AND outbox.state = 1 AND outbox.token = ?3 AND outbox.id = w.old_id`

const sqlPutAside = `
UPDATE outbox SET state = w.new_state, reason = w.new_reason
FROM @set(old_id bigint, new_state bigint, new_reason text)
WHERE outbox.namespace = w.namespace AND outbox.queue = ?2 AND outbox.state = 1 AND outbox.id = w.old_id AND outbox.token = ?3`

// holdsRelay is true in the transaction that has taken or renewed the lease.
const holdsRelay = `EXISTS (SELECT 1 FROM outbox_relays AS r
        WHERE r.namespace = ?1 AND r.queue = ?2 AND r.token = ?3 AND r.until_us > 0)`

// What others handed over, and did not finish, waits again.
const sqlReclaim = `
UPDATE outbox SET state = 0
WHERE namespace = ?1 AND queue = ?2 AND state = 1 AND ` + holdsRelay

// What was in a volatile queue is known to be in none.
const sqlReclaimVolatile = `
UPDATE outbox SET state = 0, tried_us = 0
WHERE namespace = ?1 AND queue = ?2 AND state = 1 AND ` + holdsRelay

// The rows' own columns are their key, for of a constant planners think that few
// rows have it, and look at all of those.
// ?4 how many rows, ?5 how many bytes: the row that passes it is the last one.
const sqlHandOver = `
UPDATE outbox SET state = 1, token = ?3, tried_us = coalesce(tried_us, clock.at_us)
FROM (SELECT line.namespace, line.queue, line.state, line.id AS next_id
        FROM (SELECT first.namespace, first.queue, first.state, first.id,
                sum(length(first.data)) OVER (ORDER BY first.id) - length(first.data) AS bytes_before
            FROM (SELECT o.namespace, o.queue, o.state, o.id, o.data FROM outbox AS o
                WHERE o.namespace = ?1 AND o.queue = ?2 AND o.state = 0 AND ` + holdsRelay + `
                ORDER BY o.id LIMIT ?4) AS first) AS line
        WHERE line.bytes_before < ?5) AS w
    CROSS JOIN (SELECT @now AS at_us LIMIT 1) AS clock
WHERE outbox.namespace = w.namespace AND outbox.queue = w.queue AND outbox.state = w.state AND outbox.id = w.next_id
RETURNING id, CAST(epoch AS text), name, data, options, created_us, tried_us`

// The lease lasts as long as rows are handed over.
const sqlYieldRelay = `
UPDATE outbox_relays SET until_us = 0
WHERE namespace = ?1 AND queue = ?2 AND token = ?3
    AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.namespace = ?1 AND o.queue = ?2 AND o.state = 1)
RETURNING token`

const sqlReleaseRelay = `
UPDATE outbox_relays SET until_us = 0 WHERE namespace = ?1 AND queue = ?2 AND token = ?3`
