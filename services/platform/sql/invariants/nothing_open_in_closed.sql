-- nothing_open_in_closed: once an incident is closed nobody is left with an open order.
SELECT count(*) AS looked_at, count(*) FILTER (WHERE open.id IS NOT NULL) AS broken,
    (array_agg(open.id) FILTER (WHERE open.id IS NOT NULL))[1:$1] AS examples
FROM incidents AS i LEFT JOIN LATERAL (
    SELECT min(a.id::text) AS id FROM assignments AS a WHERE a.incident_id = i.id
    AND a.state IN ('issued', 'delivered', 'acknowledged', 'committed', 'started')
) AS open ON true
WHERE i.phase = 'closed'
