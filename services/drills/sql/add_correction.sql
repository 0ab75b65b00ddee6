-- add_correction: adds a correction, provided that the entry is of this drill; gives the entry's incident where it is.
WITH found AS (
    SELECT t.entry_id FROM timeline AS t JOIN drills AS d ON d.id = $2 AND t.incident_id = ANY (d.incident_ids)
    WHERE t.entry_id = $3 AND t.recorded_at >= d.started_at
)
INSERT INTO corrections (id, drill_id, entry_id, status, occurred_at, note, reason, by, recorded_at)
SELECT $1, $2, entry_id, 'Exercise', $4, $5, $6, $7, $8 FROM found
RETURNING id
