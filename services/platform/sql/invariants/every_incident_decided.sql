-- every_incident_decided: an incident is on record only together with the decision that made it, made once.
SELECT count(*) AS looked_at, count(*) FILTER (WHERE n.reports IS DISTINCT FROM 1) AS broken,
    (array_agg(i.id::text) FILTER (WHERE n.reports IS DISTINCT FROM 1))[1:$1] AS examples
FROM incidents AS i LEFT JOIN (
    SELECT incident_id, count(*) AS reports FROM timeline WHERE entry = 'incident_reported' GROUP BY incident_id
) AS n ON n.incident_id = i.id
WHERE EXISTS (SELECT FROM inbox WHERE inbox.incident_id = i.id) OR n.reports IS DISTINCT FROM 1
