-- change_person: changes a person; who is disabled is signed out.
WITH signed_out AS (
    DELETE FROM sessions WHERE person_id = $1 AND $5::timestamptz IS NOT NULL
)
UPDATE people SET name = $2, roles = $3, departments = $4, disabled_at = $5 WHERE id = $1
RETURNING id, login, name, roles, departments, must_change, subject IS NOT NULL AS external, created_at, disabled_at
