-- The first schema. Plain SQL that SQLite and PostgreSQL read alike: TEXT and BIGINT only, JSON in
-- TEXT, instants in microseconds since 1970.

-- Facts about the journal itself: its identity.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Numbers that only grow. A row is updated in the transaction that uses the number, so numbers
-- become visible in the order of their value and a reader that follows them misses none.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('events', 0);

-- Who may write. Rows stay when a lease is released, so that the fence never runs backwards.
CREATE TABLE leases (
    name        TEXT PRIMARY KEY,
    holder      TEXT,
    fence       BIGINT NOT NULL,
    acquired_at BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);

-- One row per attempt of a claim; `value` is the claim, complete.
CREATE TABLE claims (
    id       TEXT NOT NULL,
    attempt  BIGINT NOT NULL,
    token    TEXT NOT NULL UNIQUE,
    pool     TEXT NOT NULL,
    provider TEXT NOT NULL,
    region   TEXT NOT NULL,
    state    TEXT NOT NULL,
    made_at  BIGINT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (id, attempt)
);
CREATE INDEX claims_open ON claims (made_at) WHERE state = 'open';
CREATE INDEX claims_newest ON claims (made_at, id, attempt);

-- One row per node; `value` is the record without its price, which has its own columns because it
-- is written once and never changed.
CREATE TABLE nodes (
    id             TEXT PRIMARY KEY,
    pool           TEXT NOT NULL,
    provider       TEXT NOT NULL,
    region         TEXT NOT NULL,
    life           TEXT NOT NULL,
    price_micros   BIGINT,
    price_currency TEXT,
    value          TEXT NOT NULL,
    CHECK ((price_micros IS NULL) = (price_currency IS NULL))
);
CREATE INDEX nodes_present ON nodes (id) WHERE life <> 'gone';

-- What happened; `value` is the event, complete.
CREATE TABLE events (
    sequence BIGINT PRIMARY KEY,
    at       BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    node     TEXT,
    value    TEXT NOT NULL
);
CREATE INDEX events_of_node ON events (node, sequence) WHERE node IS NOT NULL;

-- Offers that are taken for sold out for a while. An empty text stands for "any": NULLs never
-- collide in a primary key.
CREATE TABLE marks (
    provider      TEXT NOT NULL,
    region        TEXT NOT NULL,
    zone          TEXT NOT NULL,
    instance_type TEXT NOT NULL,
    market        TEXT NOT NULL,
    ends_at       BIGINT NOT NULL,
    value         TEXT NOT NULL,
    PRIMARY KEY (provider, region, zone, instance_type, market)
);

-- Token buckets. `level` is in millionths of a token; NULL is a bucket that nobody took from yet.
CREATE TABLE budgets (
    bucket        TEXT PRIMARY KEY,
    level         BIGINT,
    refilled_at   BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);
