-- Roles, their grants and row-level security are made of services/platform/rights.py from now on, each time migrations
-- are applied. Two things that a service's own role can't do by itself run with the owner's rights.

-- A month's partitions are made by whatever process starts in it.
ALTER FUNCTION make_partitions(integer) SECURITY DEFINER SET search_path FROM CURRENT;
REVOKE ALL ON FUNCTION make_partitions(integer) FROM PUBLIC;

CREATE FUNCTION connected_processes() RETURNS TABLE (name text, connections bigint, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT application_name, count(*), min(backend_start) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'muster-%' GROUP BY 1 ORDER BY 1
$$;
COMMENT ON FUNCTION connected_processes IS 'Processes that hold a connection to this database, by the name they give themselves. Postgres shows a role''s connections only to who stands for that role, as the owner does for every service''s.';
REVOKE ALL ON FUNCTION connected_processes() FROM PUBLIC;
