-- person_by_subject: finds a person with the password's hash.
SELECT id, login, name, roles, departments, must_change, subject IS NOT NULL AS external, created_at, disabled_at, password FROM people
WHERE issuer = $1 AND subject = $2
