-- +goose Up

-- One row for each namespace.
CREATE TABLE histories (
    space      integer PRIMARY KEY, -- stands for the namespace in other tables
    namespace  text    NOT NULL UNIQUE,
    records    integer NOT NULL, -- how many there are
    forgotten  integer NOT NULL  -- how often kinds were removed
);

-- What many records have in common. Texts that a record lacks are empty.
CREATE TABLE history_kinds (
    kind     integer PRIMARY KEY AUTOINCREMENT,
    space    integer NOT NULL,
    digest   blob NOT NULL UNIQUE, -- of the namespace and all that follows
    job      text NOT NULL, -- the scheduled job
    origin   text NOT NULL,
    queue    text NOT NULL,
    job_name text NOT NULL, -- the name of the queue job
    event    text NOT NULL,
    replica  text NOT NULL,
    fielded  integer NOT NULL -- its records have fields
);
CREATE INDEX history_kinds_job ON history_kinds (space, job, event) WHERE job <> '';
CREATE INDEX history_kinds_queue ON history_kinds (space, queue, job_name, event) WHERE queue <> '';
CREATE INDEX history_kinds_job_name ON history_kinds (space, job_name) WHERE job_name <> '';
CREATE INDEX history_kinds_event ON history_kinds (space, event);
CREATE INDEX history_kinds_replica ON history_kinds (space, replica, event);
CREATE INDEX history_kinds_origin ON history_kinds (space, origin);
CREATE INDEX history_kinds_fielded ON history_kinds (space) WHERE fielded;

-- The decisions about runs and jobs. Times are µs or ms since 1970, durations µs.
CREATE TABLE history (
    id         integer PRIMARY KEY AUTOINCREMENT,
    at_us      integer  NOT NULL,
    kind       integer NOT NULL,
    space      integer NOT NULL,
    attempt    integer,
    planned_ms integer, -- with origin_id and the kind's job and origin this is the run
    until_ms   integer, -- the end of a range of ticks
    took_us    integer,
    late_us    integer,
    wait_us    integer,
    count      integer,
    origin_id  text,
    job_id     text,
    reason     text,
    by         text,
    stack      text,
    schedule   text,
    fields     text -- [[path, value], …]
);
CREATE INDEX history_at ON history (space, at_us);
CREATE INDEX history_kind ON history (kind, at_us);
CREATE INDEX history_job_id ON history (job_id, at_us) WHERE job_id IS NOT NULL;
CREATE INDEX history_planned ON history (planned_ms, kind) WHERE planned_ms IS NOT NULL;
CREATE INDEX history_until ON history (kind, until_ms, planned_ms) WHERE until_ms IS NOT NULL;

-- The values of jobs' data that can be searched for.
CREATE TABLE history_fields (
    path  text NOT NULL,
    value text NOT NULL,
    kind  integer NOT NULL,
    at_us integer  NOT NULL,
    id    integer  NOT NULL,
    PRIMARY KEY (path, value, kind, at_us, id)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE history_fields;
DROP TABLE history;
DROP TABLE history_kinds;
DROP TABLE histories;
