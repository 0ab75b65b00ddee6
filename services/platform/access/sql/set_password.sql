-- set_password: sets a password's hash and signs its person out everywhere.
WITH signed_out AS (
    DELETE FROM sessions WHERE person_id = $1
)
UPDATE people SET password = $2, must_change = $3 WHERE id = $1 RETURNING true
