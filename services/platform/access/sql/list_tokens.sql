-- list_tokens: lists tokens without their secrets, newest first, from behind one of them.
SELECT id, name, scopes, departments, namespaces, created_by, created_at, expires_at, revoked_at, last_used_at FROM tokens
WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2
