-- every_message_published: nothing committed longer than ten seconds ago still waits for the broker.
SELECT count(*) AS looked_at,
    count(*) FILTER (WHERE published_at IS NULL AND created_at < clock_timestamp() - interval '10 seconds') AS broken,
    (array_agg(event_id::text) FILTER (WHERE published_at IS NULL AND created_at < clock_timestamp() - interval '10 seconds'))[1:$1] AS examples
FROM outbox
