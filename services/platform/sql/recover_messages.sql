-- recover_messages: makes everything that somebody still waits for unpublished again, after the broker lost its data:
-- messages between services that were never decided, and the last word about each open assignment.
WITH undecided AS (
    SELECT seq FROM outbox AS o
    WHERE o.namespace = $1 AND o.published_at IS NOT NULL AND o.type IN ('muster.incident', 'muster.command', 'muster.acknowledgement')
      AND NOT EXISTS (SELECT FROM inbox AS i WHERE i.event_id = o.event_id)
), open_orders AS (
    SELECT DISTINCT ON (o.assignment_id, o.topic) o.seq FROM outbox AS o
    JOIN assignments AS a ON a.id = o.assignment_id
    WHERE o.namespace = $1 AND o.type = 'muster.assignment' AND o.published_at IS NOT NULL
      AND a.state IN ('issued', 'delivered', 'acknowledged', 'committed', 'started')
    ORDER BY o.assignment_id, o.topic, o.seq DESC
), last_words AS (
    SELECT DISTINCT ON (o.assignment_id, o.topic) o.seq FROM outbox AS o
    JOIN assignments AS a ON a.id = o.assignment_id
    WHERE o.namespace = $1 AND o.type = 'muster.assignment' AND o.published_at IS NOT NULL
      AND a.state NOT IN ('issued', 'delivered', 'acknowledged', 'committed', 'started')
      AND o.published_at > clock_timestamp() - $2::interval
    ORDER BY o.assignment_id, o.topic, o.seq DESC
)
UPDATE outbox SET published_at = NULL, lease_until = clock_timestamp()
WHERE seq IN (SELECT seq FROM undecided UNION ALL SELECT seq FROM open_orders UNION ALL SELECT seq FROM last_words)
RETURNING seq
