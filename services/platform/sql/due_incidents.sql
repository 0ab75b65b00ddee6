-- due_incidents: finds incidents with something due and locks them for this transaction; those others hold are passed over.
-- Looks at incident $4 alone where it is given.
WITH due AS (
    SELECT incident_id, min(next_due_at) AS next_due_at FROM (
        SELECT incident_id, next_due_at FROM assignments
        WHERE next_due_at <= $1 AND status = ANY ($2::text[]) AND ($4::uuid IS NULL OR incident_id = $4)
        UNION ALL
        SELECT incident_id, next_due_at FROM activations
        WHERE next_due_at <= $1 AND status = ANY ($2::text[]) AND ($4::uuid IS NULL OR incident_id = $4)
    ) AS anything GROUP BY incident_id ORDER BY 2 LIMIT $3
)
SELECT incident_id, next_due_at FROM due
WHERE pg_try_advisory_xact_lock(hashtextextended(incident_id::text, 0)) ORDER BY next_due_at
