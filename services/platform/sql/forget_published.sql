-- forget_published: takes out messages that the broker has and that are on record elsewhere.
DELETE FROM outbox WHERE seq = ANY ($1::bigint[])
