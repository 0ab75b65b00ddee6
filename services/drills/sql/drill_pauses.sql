-- drill_pauses: lists when a drill's clock stood still, by the wall, who stopped it and why.
SELECT since, until, by, reason FROM drill_pauses WHERE drill_id = $1 ORDER BY since
