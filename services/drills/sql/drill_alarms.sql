-- drill_alarms: reads when each incident's alarm was sent, held by the broker, accepted, and first passed on.
SELECT t.incident_id, t.entry_id, t.occurred_at AS sent_at, t.broker_at, t.recorded_at AS accepted_at, i.first_order_at AS published_at
FROM timeline AS t
JOIN drill_injects AS i ON i.incident_id = t.incident_id AND i.drill_id = $1 AND i.inject = ANY ($2::text[])
WHERE t.entry = 'incident_reported' ORDER BY t.recorded_at
