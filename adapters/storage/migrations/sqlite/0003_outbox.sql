-- +goose Up

-- Jobs that were committed with a transaction of the application's and wait for
-- the way to their queue. Applications only add rows, by the first five columns.
-- An id is never given out again.
CREATE TABLE outbox (
    namespace  text    NOT NULL,
    queue      text    NOT NULL,
    name       text    NOT NULL,
    data       blob    NOT NULL, -- the payload, one JSON value
    options    text    NOT NULL, -- of the job, as JSON
    state      integer NOT NULL DEFAULT 0, -- 0 waiting, 1 handed over, 2 refused by its queue, 3 unknown
    id         integer PRIMARY KEY AUTOINCREMENT,
    epoch      text    NOT NULL DEFAULT (lower(hex(randomblob(16)))), -- tells the row from one with its id before a restore
    created_us integer NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS integer)),
    token      integer NOT NULL DEFAULT 0, -- the relay that handed it over last
    tried_us   integer, -- when it was first handed over, µs since 1970
    reason     text    NOT NULL DEFAULT '' -- why it is refused or unknown
);
CREATE INDEX outbox_order ON outbox (namespace, queue, state, id);

-- Who hands over the rows of a queue: one relay at a time, until its lease ends.
CREATE TABLE outbox_relays (
    namespace text    NOT NULL,
    queue     text    NOT NULL,
    token     integer NOT NULL,
    until_us  integer NOT NULL, -- the end of the lease, µs since 1970
    PRIMARY KEY (namespace, queue)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE outbox_relays;
DROP TABLE outbox;
