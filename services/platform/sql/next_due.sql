-- next_due: says when the next deadline of a namespace falls due.
SELECT least(
    (SELECT min(next_due_at) FROM assignments WHERE next_due_at IS NOT NULL AND status = ANY ($1::text[])),
    (SELECT min(next_due_at) FROM activations WHERE next_due_at IS NOT NULL AND status = ANY ($1::text[])))
