-- person_by_login: finds a person with the password's hash.
SELECT id, login, name, roles, departments, must_change, subject IS NOT NULL AS external, created_at, disabled_at, password FROM people
WHERE lower(login) = lower($1)
