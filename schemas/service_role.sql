-- What the services may do, where they have a role of their own: chipq_service. Run by the owner of the database
-- after its migrations, as often as one likes. The log is the owner's: the services append to it and read it, and
-- can neither change what is there nor take the trigger away that refuses to.
DO $$
DECLARE
    statement text;
BEGIN
    IF current_user = 'chipq_service'
        OR NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'chipq_service')
    THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT CONNECT, TEMPORARY, CREATE ON DATABASE %I TO chipq_service',
                   current_database());
    GRANT USAGE ON SCHEMA public TO chipq_service;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO chipq_service;
    REVOKE UPDATE, DELETE ON events FROM chipq_service;
    REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations FROM chipq_service;
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO chipq_service;
    FOR statement IN
        SELECT format('GRANT USAGE ON SCHEMA %I TO chipq_service', nspname)
        FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
        WHERE extname = 'timescaledb' AND nspname <> 'public' AND pg_get_userbyid(nspowner) = current_user
    LOOP
        EXECUTE statement;
    END LOOP;
    -- Read models are the projectors': they make, swap and drop generations as they go.
    FOR statement IN
        SELECT format('ALTER SCHEMA %I OWNER TO chipq_service', nspname)
        FROM pg_namespace
        WHERE nspname IN (SELECT 'read' UNION ALL
                          SELECT projection || '_g' || generation FROM projection_checkpoints)
          AND pg_get_userbyid(nspowner) = current_user
        UNION ALL
        SELECT format('ALTER %s %s OWNER TO chipq_service',
                      -- TimescaleDB's continuous aggregates, which are named so, are views to PostgreSQL only.
                      CASE WHEN relkind = 'v' AND relname LIKE 'continuous\_%' THEN 'MATERIALIZED VIEW'
                           WHEN relkind = 'v' THEN 'VIEW' ELSE 'TABLE' END, pg_class.oid::regclass)
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname IN (SELECT 'read' UNION ALL
                          SELECT projection || '_g' || generation FROM projection_checkpoints)
          AND relkind IN ('r', 'v') AND pg_get_userbyid(relowner) = current_user
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
