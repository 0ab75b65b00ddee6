-- real_tables: lists every table whose rows have a status, with the columns that may name an incident.
SELECT quote_ident(c.relname) AS place, array_agg(quote_ident(a.attname)::text ORDER BY a.attname) AS columns
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.atttypid = 'uuid'::regtype AND NOT a.attisdropped
  AND (a.attname IN ('incident_id', 'joined_to') OR (a.attname = 'id' AND c.relname = 'incidents'))
  AND EXISTS (SELECT FROM pg_attribute AS s WHERE s.attrelid = c.oid AND s.attname = 'status')
  -- Messages are looked at by their text: what was added since the mark, found by its number.
  AND c.relname <> 'outbox'
GROUP BY c.relname ORDER BY c.relname
