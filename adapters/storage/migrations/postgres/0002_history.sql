-- +goose Up

-- One row for each namespace. Who appends records holds its lock until commit:
-- so records become visible in the order of their ids.
CREATE TABLE histories (
    namespace text COLLATE "C" PRIMARY KEY,
    space     integer GENERATED ALWAYS AS IDENTITY, -- stands for the namespace in other tables
    records   bigint NOT NULL -- how many there are
) WITH (fillfactor = 10);

-- The batch that each writer appended last: one that comes again, after its
-- reply was lost, is known by it.
CREATE TABLE history_writers (
    writer bigint PRIMARY KEY,
    batch  bigint NOT NULL,
    try    bigint NOT NULL, -- which of the tries it was
    at_us  bigint NOT NULL
) WITH (fillfactor = 50);

-- What many records have in common. Texts that a record lacks are empty.
CREATE TABLE history_kinds (
    kind     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space    integer NOT NULL,
    digest   bytea NOT NULL UNIQUE, -- of the namespace and all that follows
    job      text COLLATE "C" NOT NULL, -- the scheduled job
    origin   text COLLATE "C" NOT NULL,
    queue    text COLLATE "C" NOT NULL,
    job_name text COLLATE "C" NOT NULL, -- the name of the queue job
    event    text COLLATE "C" NOT NULL,
    replica  text COLLATE "C" NOT NULL,
    fielded  boolean NOT NULL -- its records have fields
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
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_us      bigint  NOT NULL,
    kind       integer NOT NULL,
    space      integer NOT NULL,
    attempt    integer,
    planned_ms bigint, -- with origin_id and the kind's job and origin this is the run
    until_ms   bigint, -- the end of a range of ticks
    took_us    bigint,
    late_us    bigint,
    wait_us    bigint,
    count      bigint,
    origin_id  text,
    job_id     text COLLATE "C",
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
    path  text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    kind  integer NOT NULL,
    at_us bigint  NOT NULL,
    id    bigint  NOT NULL,
    PRIMARY KEY (path, value, kind, at_us, id)
);

-- +goose Down
DROP TABLE history_fields;
DROP TABLE history;
DROP TABLE history_kinds;
DROP TABLE history_writers;
DROP TABLE histories;
