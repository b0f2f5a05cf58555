-- What was last measured on each machine, by where its SSH server listens: one row per probe.
-- `value` is the finding, complete.
CREATE TABLE findings (
    host    TEXT NOT NULL,
    port    BIGINT NOT NULL,
    probe   TEXT NOT NULL,
    machine TEXT NOT NULL,
    belongs TEXT NOT NULL,
    at      BIGINT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (host, port, probe)
);

-- Whether each of them could be reached, and since when that is so.
CREATE TABLE reaches (
    host    TEXT NOT NULL,
    port    BIGINT NOT NULL,
    machine TEXT NOT NULL,
    reached BIGINT NOT NULL,
    since   BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (host, port)
);
