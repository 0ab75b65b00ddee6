-- claim_messages: takes the unpublished messages of these incidents (of these types; NULL is all) that nobody else is
-- publishing; nothing that would overtake an earlier message of its incident and type which others have.
WITH free AS (
    SELECT seq, incident_id, type FROM outbox
    WHERE published_at IS NULL AND lease_until <= clock_timestamp() AND incident_id = ANY ($1::uuid[])
      AND ($3::text[] IS NULL OR type = ANY ($3))
    ORDER BY seq
    FOR UPDATE SKIP LOCKED
), with_others AS (
    SELECT incident_id, type, min(seq) AS seq FROM outbox
    WHERE published_at IS NULL AND incident_id IN (SELECT incident_id FROM free) AND seq NOT IN (SELECT seq FROM free)
    GROUP BY incident_id, type
)
UPDATE outbox SET lease_until = clock_timestamp() + $2::interval
WHERE seq IN (
    SELECT free.seq FROM free LEFT JOIN with_others AS o USING (incident_id, type) WHERE o.seq IS NULL OR free.seq < o.seq)
RETURNING *
