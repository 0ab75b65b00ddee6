-- plan_history: when which wording of a plan was in force, one row for every change; no digest from when it was withdrawn.
SELECT since, publication, digest, version FROM (
    SELECT f.published_at AS since, f.id AS publication, p.digest, p.version, lag(p.digest) OVER (ORDER BY f.id) AS before
    FROM publication AS f LEFT JOIN plans AS p ON p.plan = $1 AND p.digest = ANY (f.plans)
) AS changes
WHERE digest IS DISTINCT FROM before ORDER BY publication
