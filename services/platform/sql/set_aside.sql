-- set_aside: keeps a message that could not be taken; the same record read again is kept once.
INSERT INTO dead_letters (id, namespace, origin, partition, position, key, headers, value, reason, broker_at, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11)
ON CONFLICT DO NOTHING RETURNING id
