-- What is known about the health of machines, by the key of the target; `value` is the record,
-- complete. `at` says which look the record is of: a look that another process has overtaken
-- counts nothing.
CREATE TABLE health (
    target TEXT PRIMARY KEY,
    at     BIGINT NOT NULL,
    value  TEXT NOT NULL
);

-- When a machine last said by itself that it lives.
CREATE TABLE heartbeats (
    target TEXT PRIMARY KEY,
    at     BIGINT NOT NULL
);

-- Machines that nothing new is to be started on; `value` is the cordon, complete. `phase_since`
-- says which state it is of, as `at` does above.
CREATE TABLE cordons (
    target      TEXT PRIMARY KEY,
    phase_since BIGINT NOT NULL,
    value       TEXT NOT NULL
);

-- Notifications that are to be sent, or were. One for each webhook, incident and event.
CREATE TABLE deliveries (
    id        TEXT PRIMARY KEY,
    webhook   TEXT NOT NULL,
    incident  TEXT NOT NULL,
    event     TEXT NOT NULL,
    made_at   BIGINT NOT NULL,
    due_at    BIGINT NOT NULL,
    attempts  BIGINT NOT NULL,
    trouble   TEXT,
    ended_at  BIGINT,
    delivered BIGINT NOT NULL,
    message   TEXT NOT NULL,
    UNIQUE (webhook, incident, event)
);
CREATE INDEX deliveries_open ON deliveries (ended_at, due_at);
