-- end_drill: notes ENDEX, why it came, how many real incidents came in meanwhile, and when the broker had the first order of each incident (outbox rows don't last).
WITH first_orders AS (
    SELECT incident_id, min(published_at) AS published_at FROM outbox
    WHERE type = 'muster.assignment' AND incident_id IN (SELECT unnest(incident_ids) FROM drills WHERE id = $1)
    GROUP BY incident_id
), run AS (
    SELECT f.incident_id, f.published_at - $4::timestamptz - coalesce((
        SELECT sum(least(coalesce(p.until, f.published_at), f.published_at) - greatest(p.since, $4)) FROM drill_pauses AS p
        WHERE p.drill_id = $1 AND p.since < f.published_at
    ), interval '0') AS elapsed FROM first_orders AS f
), noted AS (
    UPDATE drill_injects AS i SET first_order_at = $4::timestamptz + run.elapsed * $5::float8
    FROM run WHERE i.drill_id = $1 AND i.inject = ANY ($6::text[]) AND i.incident_id = run.incident_id
)
UPDATE drills SET ended_at = $2, ending = $3, real_incidents = $7 WHERE id = $1 AND ended_at IS NULL
