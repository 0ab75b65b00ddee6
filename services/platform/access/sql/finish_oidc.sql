-- finish_oidc: takes a sign-in that is at the identity provider, so that nobody can take it again.
WITH taken AS (
    DELETE FROM oidc_sign_ins WHERE state = $1 RETURNING nonce, verifier, target, created_at
)
SELECT nonce, verifier, target FROM taken WHERE created_at > $2
