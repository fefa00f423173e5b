-- +goose Up

-- Each namespace numbers its records one by one, from space * 2^44 on: numbers of
-- records of earlier versions are smaller.
ALTER TABLE histories ADD COLUMN latest integer NOT NULL DEFAULT 0; -- the number of the latest record
ALTER TABLE histories ADD COLUMN first integer NOT NULL DEFAULT 0; -- that of the first record of the latest batch
ALTER TABLE histories ADD COLUMN in_blocks integer NOT NULL DEFAULT 0; -- how many records are in blocks, beside those of records
INSERT INTO sqlite_sequence (name, seq) SELECT 'history', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'history');

-- Outcomes of queue jobs that came in one batch, are of one kind and have nothing
-- that others lack. As rows of their own they would take ten times as long.
CREATE TABLE history_blocks (
    id       integer PRIMARY KEY, -- the number of the first record
    last_id  integer NOT NULL, -- and of the last
    at_us    integer NOT NULL, -- when the newest was made
    since_us integer NOT NULL, -- when the oldest was: a second earlier at most
    kind     integer NOT NULL,
    space    integer NOT NULL,
    count    integer NOT NULL,
    records  text    NOT NULL -- [[id, at_us, job_id, attempt, took_us, late_us, wait_us, count], …]: ids and times from those above, no zeros at the end
);
CREATE INDEX history_blocks_at ON history_blocks (space, at_us, id);
CREATE INDEX history_blocks_kind ON history_blocks (kind, at_us, id);

-- Workers of the version before take kinds without rows for unused.
-- +goose StatementBegin
CREATE TRIGGER history_kinds_in_blocks BEFORE DELETE ON history_kinds WHEN EXISTS (SELECT 1 FROM history_blocks WHERE kind = OLD.kind)
BEGIN
    SELECT RAISE(IGNORE);
END;
-- +goose StatementEnd

-- The batches that have blocks, and of which jobs each of those may tell.
CREATE TABLE history_batches (
    id       integer PRIMARY KEY, -- the number of the first record
    last_id  integer NOT NULL, -- and of the last
    at_us    integer NOT NULL,
    since_us integer NOT NULL,
    space    integer NOT NULL,
    job_ids  blob    NOT NULL -- of each block the place of its first record, the length of a Bloom filter, and that
);
CREATE INDEX history_batches_at ON history_batches (space, at_us, id);

-- All records, for people and their tools.
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

-- +goose Down
DROP VIEW history_records;
DROP TRIGGER history_kinds_in_blocks;
DROP TABLE history_batches;
DROP TABLE history_blocks;
ALTER TABLE histories DROP COLUMN in_blocks;
ALTER TABLE histories DROP COLUMN first;
ALTER TABLE histories DROP COLUMN latest;
