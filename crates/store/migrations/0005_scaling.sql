-- What pools are scaled by. `value` of a sample is in millionths.
CREATE TABLE signals (
    pool  TEXT NOT NULL,
    name  TEXT NOT NULL,
    at    BIGINT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (pool, name, at)
);

-- Sizes that were decided on for pools; `value` is the record, complete.
CREATE TABLE sizes (
    pool  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
