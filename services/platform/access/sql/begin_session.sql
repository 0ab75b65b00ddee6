-- begin_session: keeps a new session, and clears away what is over: sessions, old failures, sign-ins that never came back.
WITH over AS (
    DELETE FROM sessions WHERE expires_at <= $6 OR last_seen_at <= $6::timestamptz - $8::interval
), abandoned AS (
    DELETE FROM oidc_sign_ins WHERE created_at < $6::timestamptz - interval '1 hour'
), forgotten AS (
    DELETE FROM sign_in_attempts WHERE last_at < $6::timestamptz - $9::interval
)
INSERT INTO sessions (id, digest, person_id, csrf, address, created_at, last_seen_at, rotated_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $6, $6, $7)
