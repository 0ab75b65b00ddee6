-- lock_incidents: keeps every other worker off these incidents until the transaction ends, also off those not yet known.
SELECT pg_advisory_xact_lock(hashtextextended(id::text, 0)) FROM unnest($1::uuid[]) AS id ORDER BY hashtextextended(id::text, 0)
