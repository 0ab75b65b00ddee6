-- get_person: gives one person.
SELECT id, login, name, roles, departments, must_change, subject IS NOT NULL AS external, created_at, disabled_at FROM people WHERE id = $1
