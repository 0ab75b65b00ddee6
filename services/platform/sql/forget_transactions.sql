-- forget_transactions: numbers the timeline's transactions anew after a restore; another server's numbers mean nothing
-- here, and may lie ahead. All that was restored became visible at once.
ALTER TABLE timeline DROP COLUMN xid, ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX timeline_xid ON timeline (xid);
COMMENT ON COLUMN timeline.xid IS 'The transaction that wrote it; whether a snapshot sees the entry is told by this. Never set by hand.';
