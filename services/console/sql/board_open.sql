-- board_open: lists the incidents that are not over.
SELECT id FROM incidents WHERE status = ANY ($1::text[]) AND phase <> 'closed' ORDER BY reported_at
