-- +goose Up

-- What runs and queue jobs are under way: of each the latest record, if it says
-- so. What was under way before this table was there comes with its next record.
CREATE TABLE history_under_way (
    space   integer NOT NULL,
    subject bigint  NOT NULL, -- the digest of the run or job
    kind    integer NOT NULL,
    at_us   bigint  NOT NULL,
    id      bigint  NOT NULL,
    PRIMARY KEY (space, subject)
) WITH (fillfactor = 50);
CREATE INDEX history_under_way_at ON history_under_way (space, at_us, id);
CREATE INDEX history_under_way_kind ON history_under_way (kind, at_us, id);

-- That of the record's run or job, if the record was the latest of its batch
-- about it, and told that it is under way.
ALTER TABLE history ADD COLUMN subject bigint;

-- +goose Down
ALTER TABLE history DROP COLUMN subject;
DROP TABLE history_under_way;
