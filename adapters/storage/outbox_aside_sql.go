package storage

// The queues with rows that are set aside, found by one step of the index for each,
// as in sqlOutboxQueues.
const sqlAsideQueues = `
WITH RECURSIVE named (queue) AS (
    SELECT min(o.queue) FROM outbox AS o WHERE o.namespace = ?1
    UNION ALL
    SELECT (SELECT min(o.queue) FROM outbox AS o WHERE o.namespace = ?1 AND o.queue > n.queue)
    FROM named AS n WHERE n.queue IS NOT NULL
)
SELECT n.queue FROM named AS n
WHERE n.queue IS NOT NULL
    AND ((SELECT 1 FROM outbox AS o WHERE o.namespace = ?1 AND o.queue = n.queue AND o.state = 2 LIMIT 1) IS NOT NULL
        OR (SELECT 1 FROM outbox AS o WHERE o.namespace = ?1 AND o.queue = n.queue AND o.state = 3 LIMIT 1) IS NOT NULL)`

// In all that follow: ?2 the queue, ?3 the state.

// ?4 the id after which to begin, ?5 how many rows.
const sqlAside = `
SELECT o.id, o.name, o.reason, length(o.data), o.created_us, o.tried_us FROM outbox AS o @via(outbox_order)
WHERE o.namespace = ?1 AND o.queue = ?2 AND o.state = ?3 AND o.id > ?4
ORDER BY o.id LIMIT ?5`

const sqlAsideOf = `
SELECT o.id, o.name, o.reason, length(o.data), o.created_us, o.tried_us
FROM @set(old_id bigint) JOIN outbox AS o ON o.namespace = w.namespace AND o.queue = ?2 AND o.state = ?3 AND o.id = w.old_id
WHERE o.id > ?4
ORDER BY o.id LIMIT ?5`

const sqlRetryAside = `
UPDATE outbox SET state = 0, tried_us = NULL, reason = ''
FROM @set(old_id bigint)
WHERE outbox.namespace = w.namespace AND outbox.queue = ?2 AND outbox.state = ?3 AND outbox.id = w.old_id
RETURNING id`

const sqlDropAside = `
DELETE FROM outbox
WHERE namespace = ?1 AND queue = ?2 AND state = ?3 AND id IN (SELECT w.old_id FROM @set(old_id bigint))
RETURNING id`

const sqlDropAsidePostgres = `
DELETE FROM outbox USING @set(old_id bigint)
WHERE outbox.namespace = w.namespace AND outbox.queue = ?2 AND outbox.state = ?3 AND outbox.id = w.old_id
RETURNING id`

func sqlDropAsideOf(dialect Dialect) string {
	if dialect == Postgres {
		return sqlDropAsidePostgres
	}
	return sqlDropAside
}
