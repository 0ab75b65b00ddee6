-- release_messages: gives back messages that could not be published, for anyone to take at once.
UPDATE outbox SET lease_until = clock_timestamp() WHERE seq = ANY ($1::bigint[]) AND published_at IS NULL
