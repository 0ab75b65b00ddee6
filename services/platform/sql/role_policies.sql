-- role_policies: lists tables with row-level security, and for whom each of their policies is.
SELECT c.relname AS name, p.policyname AS policy, p.roles::text[] AS roles
FROM pg_class AS c LEFT JOIN pg_policies AS p ON p.tablename = c.relname AND p.schemaname = current_schema()
WHERE c.relnamespace = current_schema()::regnamespace AND c.relrowsecurity
