-- list_incidents: lists a namespace's incidents, latest report first, from behind one of them; those that hold a text only.
SELECT i.id, i.status, i.phase, i.reported_at, i.cancelled, i.closed_at, i.report ->> 'event' AS event,
    i.report ->> 'headline' AS headline, i.report ->> 'severity' AS severity, a.plans, a.activations
FROM incidents AS i CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(v.plan ORDER BY v.matched_at, v.id), '{}') AS plans,
        coalesce(jsonb_agg(jsonb_build_object('plan', v.plan, 'title', p.document -> 'title', 'state', v.state, 'level', v.level)
            ORDER BY v.matched_at, v.id), '[]') AS activations
    FROM activations AS v JOIN plans AS p USING (digest) WHERE v.incident_id = i.id
) AS a
WHERE i.status = ANY ($1::text[])
    AND CASE $2 WHEN 'open' THEN i.phase <> 'closed' WHEN 'closed' THEN i.phase = 'closed' ELSE true END
    AND ($3::text IS NULL OR strpos(lower(concat_ws(' ', i.id::text, i.report ->> 'event', i.report ->> 'headline',
        i.report ->> 'description', i.report ->> 'areas', a.activations::text)), lower($3)) > 0)
    AND ($4::timestamptz IS NULL OR (i.reported_at, i.id) < ($4, $5::uuid))
ORDER BY i.reported_at DESC, i.id DESC LIMIT $6
