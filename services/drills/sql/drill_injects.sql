-- drill_injects: lists what was played in a drill, and what was decided about it.
SELECT i.inject, i.incident_id, i.played_at, inbox.outcome FROM drill_injects AS i LEFT JOIN inbox ON inbox.event_id = i.event_id
WHERE i.drill_id = $1 ORDER BY i.played_at
