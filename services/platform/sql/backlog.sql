-- backlog: of what a namespace has taken in since $2 and nobody has decided, how many there are ($3 at most), and since when the oldest waits.
SELECT count(*) AS waiting, min(created_at) AS oldest FROM (
    SELECT created_at FROM outbox
    WHERE namespace = $1 AND type IN ('muster.incident', 'muster.command', 'muster.acknowledgement')
      AND (published_at IS NULL OR published_at >= $2)
      AND NOT EXISTS (SELECT FROM inbox WHERE inbox.event_id = outbox.event_id)
    LIMIT $3
) AS undecided
