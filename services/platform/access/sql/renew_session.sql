-- renew_session: says whether a session holds, and counts this as its use.
UPDATE sessions AS s SET last_seen_at = greatest(s.last_seen_at, $2) FROM people AS p
WHERE s.id = $1 AND p.id = s.person_id AND p.disabled_at IS NULL AND s.expires_at > $2
    AND s.last_seen_at > $2::timestamptz - $3::interval
RETURNING true
