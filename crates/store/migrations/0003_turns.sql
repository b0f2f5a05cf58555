-- Where the candidates of pools stand that take turns: smooth weighted round-robin. The next turn
-- is that of the greatest credit.
CREATE TABLE turns (
    pool   TEXT NOT NULL,
    seat   TEXT NOT NULL,
    credit BIGINT NOT NULL,
    PRIMARY KEY (pool, seat)
);
