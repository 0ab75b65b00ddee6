-- Each namespace has a role of its own, which row-level security keeps from the other's rows. Services take their
-- namespace's role when they connect; the tables' owner, who migrates and publishes, isn't held by the policies.

DO $$
DECLARE
    wanted text;
    name text;
    held text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['muster_actual', 'muster_exercise'] LOOP
        IF to_regrole(wanted) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'role % is missing and % may not make it', wanted, current_user
                    USING HINT = 'as a superuser: CREATE ROLE muster_actual NOLOGIN; CREATE ROLE muster_exercise NOLOGIN; '
                        || 'GRANT muster_actual, muster_exercise TO ' || quote_ident(current_user);
            END;
        END IF;
        EXECUTE format('GRANT SELECT ON plans, directories, publication, schema_migrations TO %I', wanted);
    END LOOP;
    FOR name, held IN
        SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND (a.attname = 'status' OR (a.attname = 'namespace' AND c.relname IN ('dead_letters', 'epochs')))
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        IF held = 'status' THEN
            EXECUTE format('CREATE POLICY actual ON %I TO muster_actual USING (status = ''Actual'')', name);
            EXECUTE format('CREATE POLICY exercise ON %I TO muster_exercise USING (status IN (''Exercise'', ''Test''))', name);
        ELSE
            EXECUTE format('CREATE POLICY actual ON %I TO muster_actual USING (namespace = ''actual'')', name);
            EXECUTE format('CREATE POLICY exercise ON %I TO muster_exercise USING (namespace = ''exercise'')', name);
        END IF;
        EXECUTE format('GRANT SELECT, INSERT ON %I TO muster_actual, muster_exercise', name);
        IF name <> 'timeline' THEN
            EXECUTE format('GRANT UPDATE ON %I TO muster_actual, muster_exercise', name);
        END IF;
    END LOOP;
    GRANT DELETE ON openings TO muster_actual, muster_exercise;
END
$$;
