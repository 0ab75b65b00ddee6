-- drill_entries_of: reads some entries of a drill by their ids, in the order they were recorded.
SELECT * FROM timeline WHERE entry_id = ANY ($1::uuid[]) AND incident_id = ANY ($2::uuid[]) AND recorded_at BETWEEN $3 AND $4
ORDER BY recorded_at, entry_id
