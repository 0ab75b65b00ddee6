-- drill_timeline: reads a drill's entries as it happened, those that were corrected ($4) at their corrected times ($5): of some kinds ($6) and one
-- department ($7) or of all, after a place ($8, $9, $10), at most so many ($11).
WITH wanted AS (
    SELECT * FROM (
        SELECT t.*, t.occurred_at AS at FROM timeline AS t
        WHERE t.incident_id = ANY ($1::uuid[]) AND t.recorded_at BETWEEN $2 AND $3 AND t.entry_id <> ALL ($4::uuid[])
            AND ($6::text[] IS NULL OR t.entry = ANY ($6)) AND ($7::text IS NULL OR t.department = $7)
            AND ($8::timestamptz IS NULL OR (t.occurred_at, t.recorded_at, t.entry_id) > ($8, $9::timestamptz, $10::uuid))
        ORDER BY t.occurred_at, t.recorded_at, t.entry_id LIMIT $11
    ) AS uncorrected
    UNION ALL
    SELECT t.*, s.at FROM unnest($4::uuid[], $5::timestamptz[]) AS s (entry_id, at) JOIN timeline AS t USING (entry_id)
    WHERE t.incident_id = ANY ($1) AND t.recorded_at BETWEEN $2 AND $3
        AND ($6 IS NULL OR t.entry = ANY ($6)) AND ($7 IS NULL OR t.department = $7)
        AND ($8 IS NULL OR (s.at, t.recorded_at, t.entry_id) > ($8, $9, $10))
)
SELECT * FROM wanted ORDER BY at, recorded_at, entry_id LIMIT $11
