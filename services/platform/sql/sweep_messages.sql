-- sweep_messages: takes what was committed but never published (of these types; NULL is all), oldest first, as after a
-- worker's sudden death; nothing that would overtake an earlier message of its incident and type which others have.
WITH free AS (
    SELECT seq, incident_id, type FROM outbox
    WHERE published_at IS NULL AND lease_until <= clock_timestamp() AND namespace = $1
      AND ($4::text[] IS NULL OR type = ANY ($4))
    ORDER BY seq
    LIMIT $3
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
