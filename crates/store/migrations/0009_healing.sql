-- What is wrong with machines and what was done about it; `value` is the case, complete.
-- `closed_at` is NULL while it is open.
CREATE TABLE cases (
    id        TEXT PRIMARY KEY,
    target    TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    value     TEXT NOT NULL
);
CREATE INDEX cases_closed ON cases (closed_at);

-- Where nothing is healed. `scope` is a group, or empty for everything.
CREATE TABLE freezes (
    scope TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
