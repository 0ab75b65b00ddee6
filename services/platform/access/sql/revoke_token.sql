-- revoke_token: ends a token; the first time it was ended stays on record.
UPDATE tokens SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1
RETURNING id, name, scopes, departments, namespaces, created_by, created_at, expires_at, revoked_at, last_used_at
