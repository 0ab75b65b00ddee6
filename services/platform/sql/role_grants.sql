-- role_grants: lists what our roles, and everybody, were granted on tables and functions of this schema.
SELECT 'TABLE ' || quote_ident(c.relname) AS thing, coalesce(r.rolname, 'public') AS grantee, a.privilege_type AS verb
FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
  AND (a.grantee = 0 OR r.rolname = ANY ($1::text[]))
UNION ALL
SELECT 'FUNCTION ' || p.oid::regprocedure::text, r.rolname, a.privilege_type
FROM pg_proc AS p CROSS JOIN aclexplode(p.proacl) AS a JOIN pg_roles AS r ON r.oid = a.grantee
WHERE p.pronamespace = current_schema()::regnamespace AND r.rolname = ANY ($1::text[])
