-- every_assignment_announced: for each assignment one order went into the outbox, for its department's topic. An
-- imported drill's orders went out of another Muster's outbox.
SELECT count(*) AS looked_at, count(*) FILTER (WHERE n.orders IS DISTINCT FROM 1) AS broken,
    (array_agg(a.id::text) FILTER (WHERE n.orders IS DISTINCT FROM 1))[1:$1] AS examples
FROM assignments AS a LEFT JOIN (
    SELECT assignment_id, count(*) AS orders FROM outbox
    WHERE type = 'muster.assignment' AND value::jsonb ->> 'notice' = 'issued' GROUP BY assignment_id
) AS n ON n.assignment_id = a.id
WHERE NOT EXISTS (SELECT FROM drills AS d WHERE d.imported_at IS NOT NULL AND a.incident_id = ANY (d.incident_ids))
