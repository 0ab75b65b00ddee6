-- drill_entries: reads the timeline of a drill's incidents from a moment on, in the order it was recorded.
SELECT * FROM timeline WHERE incident_id = ANY ($1::uuid[]) AND recorded_at >= $2 ORDER BY recorded_at, entry_id
