-- stream_window: reads the entries that snapshot $2 sees and snapshot $1 didn't, after place $3, in the order in which they were
-- decided; only of these statuses, and of incident $5, and about departments $6 or told to them, where those are given.
SELECT
    entry_id, incident_id, status, entry, activation_id, assignment_id, department, attention, by, reason, detail,
    occurred_at, broker_at, recorded_at, xid::text::bigint AS xid, seq
FROM timeline
WHERE xid >= pg_snapshot_xmin($1::text::pg_snapshot) AND xid < pg_snapshot_xmax($2::text::pg_snapshot)
  AND NOT pg_visible_in_snapshot(xid, $1::text::pg_snapshot) AND pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
  AND seq > $3 AND status = ANY ($4::text[])
  AND ($5::uuid IS NULL OR incident_id = $5) AND ($6::text[] IS NULL OR department = ANY ($6) OR detail->'departments' ?| $6)
ORDER BY seq LIMIT $7
