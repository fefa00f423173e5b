-- +goose Up

-- Runs that are claimed, start and end in one batch, or start and end in one, and of which
-- there is nothing to explain, are blocks, too, of one run each. Their kinds have the event
-- claimed+started+completed or started+completed: of these each record has the one that
-- stands in its place.
ALTER TABLE history_blocks ADD COLUMN planned_ms integer; -- of the run; null if the block is of queue jobs

DROP VIEW history_records;
CREATE VIEW history_records AS
SELECT s.namespace, r.id, r.at_us, CASE WHEN r.nth IS NULL THEN k.event ELSE json_extract('["' || replace(k.event, '+', '","') || '"]', '$[' || r.nth || ']') END AS event, k.job, k.origin, r.origin_id, r.planned_ms, k.queue, k.job_name, r.job_id, k.replica, r.attempt,
    r.took_us, r.late_us, r.wait_us, r.reason, r.by, r.until_ms, r.count, r.stack, r.schedule, r.fields
FROM (
    SELECT id, at_us, NULL AS nth, kind, space, attempt, planned_ms, until_ms, took_us, late_us, wait_us, count, origin_id, job_id, reason, by, stack, schedule, fields
    FROM history
    UNION ALL
    SELECT b.id + (r.value->>0), b.since_us + (r.value->>1),
        CASE WHEN b.planned_ms IS NOT NULL THEN r.key END,
        b.kind, b.space, r.value->>3, b.planned_ms, NULL, r.value->>4, r.value->>5,
        r.value->>6, r.value->>7, NULL, nullif(r.value->>2, ''), NULL, NULL, NULL, NULL, NULL
    FROM history_blocks AS b CROSS JOIN json_each(b.records) AS r
) AS r
JOIN history_kinds AS k ON k.kind = r.kind
JOIN histories AS s ON s.space = r.space;

-- +goose Down
DROP VIEW history_records;
CREATE VIEW history_records AS
SELECT s.namespace, r.id, r.at_us, k.event, k.job, k.origin, r.origin_id, r.planned_ms, k.queue, k.job_name, r.job_id, k.replica, r.attempt,
    r.took_us, r.late_us, r.wait_us, r.reason, r.by, r.until_ms, r.count, r.stack, r.schedule, r.fields
FROM (
    SELECT id, at_us, kind, space, attempt, planned_ms, until_ms, took_us, late_us, wait_us, count, origin_id, job_id, reason, by, stack, schedule, fields
    FROM history
    UNION ALL
    SELECT b.id + (r.value->>0), b.since_us + (r.value->>1), b.kind, b.space, r.value->>3, NULL, NULL, r.value->>4, r.value->>5,
        r.value->>6, r.value->>7, NULL, nullif(r.value->>2, ''), NULL, NULL, NULL, NULL, NULL
    FROM history_blocks AS b CROSS JOIN json_each(b.records) AS r
) AS r
JOIN history_kinds AS k ON k.kind = r.kind
JOIN histories AS s ON s.space = r.space;

-- Of some runs the claim is a row, and is left.
UPDATE histories SET in_blocks = in_blocks - (SELECT coalesce(sum(b.count), 0) FROM history_blocks AS b WHERE b.space = histories.space AND b.planned_ms IS NOT NULL);
DELETE FROM history_blocks WHERE planned_ms IS NOT NULL;
ALTER TABLE history_blocks DROP COLUMN planned_ms;
