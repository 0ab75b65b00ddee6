-- scorecard_orders: reads the orders of one world since a moment, the latest first, with whose answer each is: a drill that
-- is under way is left out, as is what a drill orders after its ENDEX.
-- A drill's times are the scenario's, and may lie ahead of the wall.
WITH played AS (
    SELECT d.ended_at, d.seats, incident_id FROM drills AS d, unnest(d.incident_ids) AS incident_id
)
SELECT a.id, a.incident_id, a.department, a.role, a.task, a.issued_at, a.delivered_at, a.committed_at, a.declined_at,
    a.started_at, a.arrived_at, a.completed_at, a.failed_at, a.acknowledge_by, a.complete_by, found.simulated,
    least(a.ended_at, coalesce(p.ended_at, $3)) AS closed_at
FROM assignments AS a
LEFT JOIN played AS p ON p.incident_id = a.incident_id
CROSS JOIN LATERAL (
    SELECT p.incident_id IS NOT NULL AND coalesce(p.seats ->> a.department, 'simulated') IN ('simulated', 'stand-in') AS simulated
) AS found
WHERE a.status = ANY ($1::text[]) AND a.issued_at >= $2 AND a.issued_at < coalesce(p.ended_at, $3)
  AND (p.incident_id IS NULL OR p.ended_at IS NOT NULL)
  AND ($4::text IS NULL OR a.department = $4) AND ($6 OR NOT found.simulated)
ORDER BY a.issued_at DESC, a.id DESC LIMIT $5
