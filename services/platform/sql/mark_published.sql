-- mark_published: notes that the broker has these messages.
UPDATE outbox SET published_at = clock_timestamp() WHERE seq = ANY ($1::bigint[])
