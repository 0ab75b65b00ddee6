-- issue_token: keeps a new token's digest and what it is good for.
INSERT INTO tokens (id, digest, name, scopes, departments, created_by, created_at, expires_at, idempotency_key, namespaces)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
