-- drill_orders: reads a drill's assignments as columns, in the order they were issued: times in microseconds since STARTEX ($3), incidents and
-- activations by their place in what is asked for. An order is watched until its end or ENDEX ($2); stand-down tasks come after and are not asked for.
WITH orders AS (
    SELECT a.id, a.department, a.task, a.missed, a.issued_at, a.acknowledge_by, a.complete_by, a.delivered_at, a.acknowledged_at, a.committed_at,
        a.declined_at, a.started_at, a.arrived_at, a.completed_at, a.failed_at,
        LEAST(a.ended_at, $2) AS closed_at, i.place AS incident, v.place AS activation
    FROM assignments AS a
    JOIN unnest($1::uuid[]) WITH ORDINALITY AS i (id, place) ON i.id = a.incident_id
    JOIN unnest($4::uuid[]) WITH ORDINALITY AS v (id, place) ON v.id = a.activation_id
    WHERE a.incident_id = ANY ($1) AND a.issued_at < $2
    ORDER BY a.issued_at, a.id
)
SELECT array_agg(id) AS id, array_agg(incident) AS incident, array_agg(activation) AS activation, array_agg(department) AS department,
    array_agg(task) AS task, array_agg(array_to_string(missed, ' ')) AS missed,
    array_agg((date_part('epoch', issued_at - $3) * 1000000)::bigint) AS issued_at,
    array_agg((date_part('epoch', closed_at - $3) * 1000000)::bigint) AS closed_at,
    array_agg((date_part('epoch', acknowledge_by - $3) * 1000000)::bigint) AS acknowledge_by,
    array_agg((date_part('epoch', complete_by - $3) * 1000000)::bigint) AS complete_by,
    array_agg((date_part('epoch', delivered_at - $3) * 1000000)::bigint) AS delivered_at,
    array_agg((date_part('epoch', acknowledged_at - $3) * 1000000)::bigint) AS acknowledged_at,
    array_agg((date_part('epoch', committed_at - $3) * 1000000)::bigint) AS committed_at,
    array_agg((date_part('epoch', declined_at - $3) * 1000000)::bigint) AS declined_at,
    array_agg((date_part('epoch', started_at - $3) * 1000000)::bigint) AS started_at,
    array_agg((date_part('epoch', arrived_at - $3) * 1000000)::bigint) AS arrived_at,
    array_agg((date_part('epoch', completed_at - $3) * 1000000)::bigint) AS completed_at,
    array_agg((date_part('epoch', failed_at - $3) * 1000000)::bigint) AS failed_at
FROM orders
