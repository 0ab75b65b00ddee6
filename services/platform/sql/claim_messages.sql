-- claim_messages: takes the unpublished messages of these incidents (of these types; NULL is all) that nobody else is
-- publishing; nothing that would overtake an earlier message of its incident and type which others have.
WITH free AS (
    SELECT incident_id, type, seq FROM outbox
    WHERE published_at IS NULL AND lease_until <= clock_timestamp() AND incident_id = ANY ($1::uuid[])
      AND ($3::text[] IS NULL OR type = ANY ($3))
    ORDER BY seq
    FOR UPDATE SKIP LOCKED
), waiting AS (
    SELECT incident_id, type, seq, false AS is_free FROM outbox
    WHERE published_at IS NULL AND incident_id = ANY (ARRAY(SELECT DISTINCT incident_id FROM free))
    UNION ALL
    SELECT incident_id, type, seq, true FROM free
), told_apart AS (
    -- Without a join: the planner takes it that next to nothing waits, and would compare each with each.
    SELECT incident_id, type, seq, bool_or(is_free) AS is_free FROM waiting GROUP BY incident_id, type, seq
), in_turn AS (
    SELECT seq, is_free, min(seq) FILTER (WHERE NOT is_free) OVER (PARTITION BY incident_id, type) AS with_others
    FROM told_apart
)
UPDATE outbox SET lease_until = clock_timestamp() + $2::interval
WHERE seq = ANY (ARRAY(SELECT seq FROM in_turn WHERE is_free AND (with_others IS NULL OR seq < with_others)))
RETURNING *
