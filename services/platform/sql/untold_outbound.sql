-- untold_outbound: reads the timeline entries that somebody outside should have been told of and wasn't, oldest first, as
-- far back as $2: their call failed, or after $3 there was none, as when the broker has lost what nobody had read. Of a
-- drill that was played elsewhere and imported, nobody here was to be told.
SELECT t.* FROM outbound_calls AS c JOIN timeline AS t USING (entry_id)
WHERE c.outcome = 'failed' AND c.settled_at > clock_timestamp() - $2::interval AND c.status = ANY ($1::text[])
UNION ALL
SELECT t.* FROM timeline AS t
WHERE t.attention AND t.status = ANY ($1::text[])
  AND t.recorded_at BETWEEN clock_timestamp() - $2::interval AND clock_timestamp() - $3::interval
  AND NOT EXISTS (SELECT FROM outbound_calls AS c WHERE c.entry_id = t.entry_id)
  AND NOT EXISTS (SELECT FROM drills AS d WHERE d.imported_at IS NOT NULL AND t.incident_id = ANY (d.incident_ids))
ORDER BY recorded_at, entry_id LIMIT 100
