-- list_people: lists people by login, from behind one of them.
SELECT id, login, name, roles, departments, must_change, subject IS NOT NULL AS external, created_at, disabled_at FROM people
WHERE $1::text IS NULL OR lower(login) > $1 ORDER BY lower(login) LIMIT $2
