-- answer_request: keeps what a request with an idempotency key was answered.
UPDATE drill_requests SET code = $3, answer = $4::jsonb WHERE caller = $1 AND key = $2
