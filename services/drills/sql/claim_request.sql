-- claim_request: takes a request with an idempotency key in hand; gives no row where it is known already. One that was
-- left in hand by a process that died may be taken again after a minute, and none is kept longer than a week.
WITH gone AS (
    DELETE FROM drill_requests WHERE asked_at < clock_timestamp() - interval '7 days'
)
INSERT INTO drill_requests AS r (caller, key, status, digest) VALUES ($1, $2, 'Exercise', $3)
ON CONFLICT (caller, key) DO UPDATE SET asked_at = clock_timestamp()
WHERE r.code IS NULL AND r.digest = excluded.digest AND r.asked_at < clock_timestamp() - interval '1 minute'
RETURNING key
