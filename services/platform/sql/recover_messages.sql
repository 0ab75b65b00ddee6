-- recover_messages: makes everything that somebody still waits for unpublished again, after the broker lost its data:
-- messages between services that were never decided, and the last word about each assignment that is open or has
-- just ended. Only what was handed to the broker's former life is meant: leases ($3 long) taken before the new one ($4),
-- and, as a lease for many messages is longer, what was marked as published until as long after. What a later word
-- follows that the new life has, or will be told anyway, stays lost: it would come behind that one.
WITH lost AS (
    SELECT seq, event_id, type, topic, assignment_id, published_at FROM outbox
    WHERE namespace = $1 AND published_at IS NOT NULL
      AND ($4 >= lease_until - $3::interval OR $4 >= published_at - $3::interval)
), undecided AS (
    SELECT seq FROM lost
    WHERE type IN ('muster.incident', 'muster.command', 'muster.acknowledgement')
      AND NOT EXISTS (SELECT FROM inbox WHERE inbox.event_id = lost.event_id)
), last_words AS (
    SELECT seq FROM lost JOIN assignments ON assignments.id = lost.assignment_id
    WHERE lost.type = 'muster.assignment'
      AND (assignments.state IN ('issued', 'delivered', 'acknowledged', 'committed', 'started')
           OR lost.published_at > clock_timestamp() - $2::interval)
      AND NOT EXISTS (
          SELECT FROM outbox AS later
          WHERE later.assignment_id = lost.assignment_id AND later.topic = lost.topic AND later.seq > lost.seq)
)
UPDATE outbox SET published_at = NULL, lease_until = clock_timestamp()
WHERE seq IN (SELECT seq FROM undecided UNION ALL SELECT seq FROM last_words)
RETURNING seq
