-- roles_named: lists the roles that rights and policies of this database speak of, besides its owner.
SELECT DISTINCT r.rolname::text AS rolname FROM pg_shdepend AS d JOIN pg_roles AS r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype IN ('a', 'r')
  AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY 1
