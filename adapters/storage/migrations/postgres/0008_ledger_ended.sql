-- +goose Up

-- The ticks that ended last: those of one call each, by the first of their tokens.
CREATE TABLE ledger_ended (
    namespace text COLLATE "C" NOT NULL,
    token     bigint   NOT NULL,
    count     integer  NOT NULL,
    ended_us  bigint   NOT NULL,
    tokens    bigint[] NOT NULL,
    PRIMARY KEY (namespace, token)
);
INSERT INTO ledger_ended (namespace, token, count, ended_us, tokens)
SELECT namespace, min(token), count(*), max(ended_us), array_agg(token) FROM ledger_claims WHERE tick AND phase >= 3 GROUP BY namespace;
DELETE FROM ledger_claims WHERE tick AND phase >= 3;

-- +goose Down
DROP TABLE ledger_ended;
