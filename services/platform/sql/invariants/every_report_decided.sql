-- every_report_decided: what came in over HTTP, and every message of ours between services, has its decision.
SELECT count(*) AS looked_at, count(*) FILTER (WHERE i.event_id IS NULL) AS broken,
    (array_agg(o.event_id::text) FILTER (WHERE i.event_id IS NULL))[1:$1] AS examples
FROM outbox AS o LEFT JOIN inbox AS i USING (event_id)
WHERE o.type IN ('muster.incident', 'muster.command', 'muster.acknowledgement')
