-- failed_outbound: reads the timeline entries whose call to the outside has failed, oldest first, as far back as $2.
SELECT t.* FROM outbound_calls AS c JOIN timeline AS t USING (entry_id)
WHERE c.outcome = 'failed' AND c.settled_at > clock_timestamp() - $2::interval AND c.status = ANY ($1::text[])
ORDER BY t.recorded_at, t.entry_id LIMIT 100
