-- claim_messages: takes the unpublished messages of these incidents (of these types; NULL is all), unless another worker is
-- publishing for them.
UPDATE outbox SET lease_until = clock_timestamp() + $2::interval
WHERE seq IN (
    SELECT seq FROM outbox
    WHERE published_at IS NULL AND lease_until <= clock_timestamp() AND incident_id = ANY ($1::uuid[])
      AND ($3::text[] IS NULL OR type = ANY ($3))
      AND NOT EXISTS (
          SELECT FROM outbox AS held WHERE held.incident_id = outbox.incident_id AND held.type = outbox.type
          AND held.published_at IS NULL AND held.lease_until > clock_timestamp())
    ORDER BY seq
    FOR UPDATE SKIP LOCKED)
RETURNING *
