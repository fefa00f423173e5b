-- +goose Up

-- The ticks that ended last: those of one call each, by the first of their tokens.
CREATE TABLE ledger_ended (
    namespace text    NOT NULL,
    token     integer NOT NULL,
    count     integer NOT NULL,
    ended_us  integer NOT NULL,
    tokens    text    NOT NULL, -- a JSON array
    PRIMARY KEY (namespace, token)
) WITHOUT ROWID;
INSERT INTO ledger_ended (namespace, token, count, ended_us, tokens)
SELECT namespace, min(token), count(*), max(ended_us), json_group_array(token) FROM ledger_claims WHERE tick AND phase >= 3 GROUP BY namespace;
DELETE FROM ledger_claims WHERE tick AND phase >= 3;

-- +goose Down
DROP TABLE ledger_ended;
