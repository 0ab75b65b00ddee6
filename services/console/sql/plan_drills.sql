-- plan_drills: the last drill that was run to its end or stopped and in which each plan was put into force.
SELECT DISTINCT ON (a.plan) a.plan, d.id, d.drill, d.document -> 'title' AS title, d.started_at
FROM drills AS d JOIN activations AS a ON a.incident_id = ANY (d.incident_ids)
WHERE d.ended_at IS NOT NULL AND d.ending <> 'failed' AND a.activated_at IS NOT NULL
ORDER BY a.plan, d.started_at DESC
