-- settle_attempt: forgets a login's failures after it has succeeded, and takes the attempt off its address.
WITH login AS (
    DELETE FROM sign_in_attempts WHERE key = $1
)
UPDATE sign_in_attempts SET failures = greatest(failures - 1, 0), blocked_until = last_at WHERE key = $2
