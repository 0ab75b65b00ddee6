-- begin_attempt: counts an attempt to sign in for its login and its address, unless one of them must wait.
WITH blocked AS (
    SELECT max(blocked_until) AS until FROM sign_in_attempts WHERE key = ANY ($1::bytea[]) AND blocked_until > $3
), counted AS (
    INSERT INTO sign_in_attempts AS a (key, allowed, failures, last_at, blocked_until)
    SELECT key, allowed, 1, $3, $3 FROM unnest($1::bytea[], $2::integer[]) AS given (key, allowed), blocked
    WHERE blocked.until IS NULL ORDER BY key
    ON CONFLICT (key) DO UPDATE SET
        allowed = excluded.allowed,
        failures = CASE WHEN a.last_at < $3::timestamptz - $6::interval THEN 1 ELSE a.failures + 1 END,
        last_at = $3,
        blocked_until = CASE
            WHEN a.last_at < $3::timestamptz - $6::interval OR a.failures + 1 < excluded.allowed THEN $3
            ELSE $3::timestamptz + least($4::interval * power(2, least(a.failures + 1 - excluded.allowed, 16)), $5::interval)
        END
    WHERE a.blocked_until <= $3
    RETURNING key
)
SELECT (SELECT count(*) FROM counted) AS counted, (SELECT until FROM blocked) AS blocked_until
