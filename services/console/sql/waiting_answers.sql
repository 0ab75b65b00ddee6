-- waiting_answers: lists the answers about an incident that came in over HTTP and that tracking has not decided yet.
SELECT o.event_id, o.value FROM reports AS r JOIN outbox AS o USING (event_id)
WHERE r.incident_id = $1 AND o.type = 'muster.acknowledgement'
  AND NOT EXISTS (SELECT FROM inbox AS i WHERE i.event_id = r.event_id)
ORDER BY o.seq
