-- sweep_messages: takes what was committed but never published (of these types; NULL is all), oldest first, as after a
-- worker's sudden death.
UPDATE outbox SET lease_until = clock_timestamp() + $2::interval
WHERE seq IN (
    SELECT seq FROM outbox
    WHERE published_at IS NULL AND lease_until <= clock_timestamp() AND namespace = $1
      AND ($4::text[] IS NULL OR type = ANY ($4))
      AND NOT EXISTS (
          SELECT FROM outbox AS held WHERE held.incident_id = outbox.incident_id AND held.type = outbox.type
          AND held.published_at IS NULL AND held.lease_until > clock_timestamp())
    ORDER BY seq
    LIMIT $3
    FOR UPDATE SKIP LOCKED)
RETURNING *
