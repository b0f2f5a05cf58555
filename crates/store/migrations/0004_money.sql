-- When a node was confirmed gone: what was spent in a month is read without reading every node that
-- ever was. NULL for nodes that are there, and for those that were gone before this column was.
ALTER TABLE nodes ADD COLUMN gone_at BIGINT;
CREATE INDEX nodes_gone ON nodes (gone_at) WHERE life = 'gone';
