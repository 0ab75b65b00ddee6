-- A program's token may be for one world only: what a drill's helper holds is worth nothing beside real operations.

ALTER TABLE tokens
    ADD COLUMN namespaces text[] NOT NULL DEFAULT '{actual,exercise}'
    CHECK (namespaces <> '{}' AND namespaces <@ '{actual,exercise}');
COMMENT ON COLUMN tokens.namespaces IS 'The worlds that it may be used in.';
