-- drill_orders_of: reads some assignments of a drill whole, with their plan's wording.
SELECT a.*, v.plan, v.digest FROM assignments AS a JOIN activations AS v ON v.id = a.activation_id
WHERE a.id = ANY ($1::uuid[]) ORDER BY a.issued_at, a.id
