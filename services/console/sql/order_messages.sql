-- order_messages: lists every message about one assignment in the order they were sent, with the topic each went to.
SELECT topic, value, time FROM outbox WHERE assignment_id = $1 ORDER BY seq
