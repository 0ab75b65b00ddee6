-- Which transaction wrote an entry of the timeline, and in which order, so that a follower misses none and repeats none.
-- A number alone can't do that: what takes its number early and commits late would be passed over. A follower remembers
-- the snapshot that it has read everything of, and reads what a later one sees and that one didn't.

ALTER TABLE timeline
    ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY;
CREATE INDEX timeline_xid ON timeline (xid);
COMMENT ON COLUMN timeline.xid IS 'The transaction that wrote it; whether a snapshot sees the entry is told by this. Never set by hand.';
COMMENT ON COLUMN timeline.seq IS 'Its place among what became visible together; of one incident the order is right throughout.';
