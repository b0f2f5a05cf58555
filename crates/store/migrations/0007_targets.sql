-- Machines that were found in listings, so that one that could not be listed completely does not
-- make them vanish; which of them were welcomed; and deployments.

CREATE TABLE targets_seen (
    source     TEXT NOT NULL,
    node       TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (source, node)
);

CREATE TABLE welcomes (
    target_group TEXT NOT NULL,
    target       TEXT NOT NULL,
    state        TEXT NOT NULL,
    tries        BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    reason       TEXT NOT NULL,
    PRIMARY KEY (target_group, target)
);

CREATE TABLE deployments (
    id       TEXT PRIMARY KEY,
    began_at BIGINT NOT NULL,
    value    TEXT NOT NULL
);
CREATE INDEX deployments_by_time ON deployments (began_at);

CREATE TABLE deployment_nodes (
    deployment  TEXT NOT NULL,
    node        TEXT NOT NULL,
    place       BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    state       TEXT NOT NULL,
    taken_back  BIGINT NOT NULL,
    began_at    BIGINT,
    value       TEXT NOT NULL,
    PRIMARY KEY (deployment, node)
);
CREATE INDEX deployment_nodes_by_node ON deployment_nodes (node, began_at);
