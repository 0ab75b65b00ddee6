-- add_person: adds a person.
INSERT INTO people (id, login, name, roles, departments, password, must_change, issuer, subject, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING id, login, name, roles, departments, must_change, subject IS NOT NULL AS external, created_at, disabled_at
