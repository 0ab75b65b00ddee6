-- drill_incidents: says how the incidents of a drill stand, by which inject each was opened, and which plans answer it.
SELECT i.id, i.phase, i.report ->> 'headline' AS headline,
    (SELECT n.inject FROM drill_injects AS n WHERE n.drill_id = $2 AND n.incident_id = i.id ORDER BY n.played_at LIMIT 1) AS inject,
    (SELECT coalesce(jsonb_object_agg(v.plan, v.level), '{}') FROM activations AS v WHERE v.incident_id = i.id) AS plans
FROM incidents AS i WHERE i.id = ANY ($1::uuid[]) ORDER BY i.reported_at, i.id
