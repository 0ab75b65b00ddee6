-- Who may do what: people, their sessions, tokens for programs, lock-out, and the audit. None of these belongs to a
-- namespace, and neither namespace's role is granted any of them: only the tables' owner reads and writes them.

CREATE TABLE people (
    id uuid PRIMARY KEY,
    login text NOT NULL CHECK (login <> ''),
    name text NOT NULL CHECK (name <> ''),
    roles text[] NOT NULL,
    departments text[] NOT NULL DEFAULT '{}',
    password text,
    must_change boolean NOT NULL DEFAULT false,
    issuer text,
    subject text,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz,
    UNIQUE (issuer, subject),
    CHECK ((issuer IS NULL) = (subject IS NULL)),
    CHECK (roles <@ ARRAY['duty_officer', 'department', 'planner', 'evaluator', 'auditor', 'administrator'])
);
CREATE UNIQUE INDEX people_login ON people (lower(login));
COMMENT ON COLUMN people.password IS 'An argon2id hash with its parameters; null for who signs in elsewhere only.';
COMMENT ON COLUMN people.subject IS 'Who it is to the identity provider (OpenID Connect: sub, unique per issuer).';

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    previous bytea UNIQUE,
    confirmed boolean NOT NULL DEFAULT true,
    person_id uuid NOT NULL REFERENCES people,
    csrf text NOT NULL,
    address text,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    rotated_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX sessions_person ON sessions (person_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);
COMMENT ON TABLE sessions IS 'Browsers that have signed in. The cookie''s token is not kept, only its SHA-256.';
COMMENT ON COLUMN sessions.previous IS 'The token before the last rotation; good for a moment, or until the new one was seen to have arrived (confirmed).';

CREATE TABLE tokens (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    scopes text[] NOT NULL,
    departments text[] NOT NULL DEFAULT '{}',
    created_by text NOT NULL CHECK (created_by <> ''),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    last_used_at timestamptz,
    idempotency_key text UNIQUE
) WITH (fillfactor = 80);
COMMENT ON TABLE tokens IS 'Programs that may call the API. A token''s secret is not kept, only its SHA-256.';
COMMENT ON COLUMN tokens.scopes IS 'Roles, or report: to report incidents and nothing else.';

CREATE TABLE sign_in_attempts (
    key bytea PRIMARY KEY,
    allowed integer NOT NULL,
    failures integer NOT NULL,
    last_at timestamptz NOT NULL,
    blocked_until timestamptz NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE sign_in_attempts IS 'Failed sign-ins by the SHA-256 of the login or address; what was typed as a login may be a password.';

CREATE TABLE oidc_sign_ins (
    state bytea PRIMARY KEY,
    nonce text NOT NULL,
    verifier text NOT NULL,
    target text NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE oidc_sign_ins IS 'Sign-ins that are at the identity provider, by the SHA-256 of their state; each is used once.';

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    by text,
    by_id uuid,
    action text NOT NULL CHECK (action <> ''),
    target text,
    outcome text NOT NULL CHECK (outcome <> ''),
    address text,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_by ON audit (by, id);
CREATE INDEX audit_at ON audit (at);
COMMENT ON TABLE audit IS 'Who did what, and who was kept from it; by is null where nobody was known.';

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
