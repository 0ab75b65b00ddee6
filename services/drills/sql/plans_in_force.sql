-- plans_in_force: reads the plans of the publication in force, as they were written.
SELECT document FROM plans WHERE digest = ANY ((SELECT plans FROM publication ORDER BY id DESC LIMIT 1)::text[]) ORDER BY plan
