-- What is remembered besides the marks: since when an offer is short, how long shortages last, how
-- fast an account may really call, who waits most urgently, and which clouds are down. Plain SQL
-- that SQLite and PostgreSQL read alike.

-- When the shortage began, when the cloud last said so, and until when one request is finding out
-- whether it is over.
ALTER TABLE marks ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE marks ADD COLUMN refused_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE marks ADD COLUMN probe_until BIGINT NOT NULL DEFAULT 0;
-- Older marks all lasted three minutes.
UPDATE marks SET since = ends_at - 180000000, refused_at = ends_at - 180000000;

-- How long shortages last, in milliseconds, as far as is known. An empty text stands for "any".
CREATE TABLE lifetimes (
    provider      TEXT NOT NULL,
    region        TEXT NOT NULL,
    zone          TEXT NOT NULL,
    instance_type TEXT NOT NULL,
    market        TEXT NOT NULL,
    millis        BIGINT NOT NULL,
    observed      BIGINT NOT NULL,
    learned_at    BIGINT NOT NULL,
    PRIMARY KEY (provider, region, zone, instance_type, market)
);

-- `rate` is in thousandths of a token per minute at `rate_at`; NULL is the documented rate.
-- `urgent` is the priority of a waiting call that goes before all less urgent ones.
ALTER TABLE budgets ADD COLUMN rate BIGINT;
ALTER TABLE budgets ADD COLUMN rate_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE budgets ADD COLUMN throttled_at BIGINT;
ALTER TABLE budgets ADD COLUMN urgent BIGINT NOT NULL DEFAULT 0;
ALTER TABLE budgets ADD COLUMN urgent_until BIGINT NOT NULL DEFAULT 0;

-- Circuit breakers that saw failures; a healthy place has no row. `until_at` is NULL while closed.
CREATE TABLE breakers (
    account  TEXT NOT NULL,
    place    TEXT NOT NULL,
    failures BIGINT NOT NULL,
    openings BIGINT NOT NULL,
    since    BIGINT NOT NULL,
    until_at BIGINT,
    error    TEXT NOT NULL,
    PRIMARY KEY (account, place)
);
