-- +goose Up

-- Jobs that were committed with a transaction of the application's and wait for
-- the way to their queue. Applications only add rows, by the first five columns.
CREATE TABLE outbox (
    namespace  text COLLATE "C" NOT NULL,
    queue      text COLLATE "C" NOT NULL,
    name       text     NOT NULL,
    data       bytea    NOT NULL, -- the payload, one JSON value
    options    text     NOT NULL, -- of the job, as JSON
    state      smallint NOT NULL DEFAULT 0, -- 0 waiting, 1 handed over, 2 refused by its queue, 3 unknown
    id         bigint   NOT NULL GENERATED ALWAYS AS IDENTITY,
    epoch      uuid     NOT NULL DEFAULT gen_random_uuid(), -- tells the row from one with its id before a restore
    created_us bigint   NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    token      bigint   NOT NULL DEFAULT 0, -- the relay that handed it over last
    tried_us   bigint,  -- when it was first handed over, µs since 1970
    reason     text     NOT NULL DEFAULT '', -- why it is refused or unknown
    PRIMARY KEY (namespace, queue, state, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- Who hands over the rows of a queue: one relay at a time, until its lease ends.
CREATE TABLE outbox_relays (
    namespace text COLLATE "C" NOT NULL,
    queue     text COLLATE "C" NOT NULL,
    token     bigint NOT NULL,
    until_us  bigint NOT NULL, -- the end of the lease, µs since 1970
    PRIMARY KEY (namespace, queue)
) WITH (fillfactor = 10);

-- +goose Down
DROP TABLE outbox_relays;
DROP TABLE outbox;
