-- find_session: finds the session of a token, as it is now or before its last change, with its person.
SELECT s.id AS session, s.csrf, s.digest = $1 AS current, s.confirmed, s.rotated_at, s.last_seen_at, s.expires_at,
    p.id, p.name, p.roles, p.departments, p.must_change
FROM sessions AS s JOIN people AS p ON p.id = s.person_id
WHERE (s.digest = $1 OR s.previous = $1) AND s.expires_at > $2 AND s.last_seen_at > $2::timestamptz - $3::interval
    AND p.disabled_at IS NULL
