-- role_members: lists who is in which of our roles, and what that gives.
SELECT r.rolname AS role, m.rolname AS member, bool_or(a.inherit_option) AS inherits, bool_or(a.set_option) AS takes_on
FROM pg_auth_members AS a JOIN pg_roles AS r ON r.oid = a.roleid JOIN pg_roles AS m ON m.oid = a.member
WHERE r.rolname = ANY ($1::text[]) GROUP BY 1, 2
