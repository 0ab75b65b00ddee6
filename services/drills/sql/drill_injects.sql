-- drill_injects: lists what was played in a drill, what was decided about it, and whether what it expected was seen.
SELECT i.inject, i.incident_id, i.played_at, inbox.outcome, i.released_by, i.detail, i.rating, i.judged_at, i.rated_because, i.first_order_at
FROM drill_injects AS i LEFT JOIN inbox ON inbox.event_id = i.event_id
WHERE i.drill_id = $1 ORDER BY i.played_at
