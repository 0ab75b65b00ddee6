-- sweep_messages: takes what was committed but never published, oldest first, as after a worker's sudden death.
UPDATE outbox SET lease_until = clock_timestamp() + $2::interval
WHERE seq IN (
    SELECT seq FROM outbox
    WHERE published_at IS NULL AND lease_until <= clock_timestamp() AND namespace = $1
      AND NOT EXISTS (
          SELECT FROM outbox AS held WHERE held.incident_id = outbox.incident_id
          AND held.published_at IS NULL AND held.lease_until > clock_timestamp())
    ORDER BY seq
    LIMIT $3
    FOR UPDATE SKIP LOCKED)
RETURNING *
