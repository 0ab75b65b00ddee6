-- drill_reports: reads when incidents' alarms were sent, held by the broker and accepted.
SELECT incident_id, entry_id, occurred_at AS sent_at, broker_at, recorded_at AS accepted_at FROM timeline
WHERE entry_id = ANY ($1::uuid[]) ORDER BY recorded_at
