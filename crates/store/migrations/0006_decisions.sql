-- Why machines were asked for where they were: one row per decision, and each claim names its own.

CREATE TABLE decisions (
    id      TEXT PRIMARY KEY,
    pool    TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    value   TEXT NOT NULL
);
CREATE INDEX decisions_of_pool ON decisions (pool, made_at);

ALTER TABLE claims ADD COLUMN decision TEXT;
CREATE INDEX claims_of_decision ON claims (decision) WHERE decision IS NOT NULL;
