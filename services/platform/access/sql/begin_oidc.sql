-- begin_oidc: keeps what must come back from the identity provider.
INSERT INTO oidc_sign_ins (state, nonce, verifier, target, created_at) VALUES ($1, $2, $3, $4, $5)
