-- scorecard_titles: reads what departments and roles are called by the directory and the plans in force.
WITH latest AS (SELECT plans, directory FROM publication ORDER BY id DESC LIMIT 1)
SELECT 'department' AS kind, item ->> 'id' AS id, item -> 'title' AS title
FROM latest JOIN directories AS d ON d.digest = latest.directory, jsonb_array_elements(d.document -> 'departments') AS item
UNION ALL
SELECT DISTINCT ON (item ->> 'id') 'role', item ->> 'id', item -> 'title'
FROM latest JOIN plans AS p ON p.digest = ANY (latest.plans), jsonb_array_elements(p.document -> 'roles') AS item
