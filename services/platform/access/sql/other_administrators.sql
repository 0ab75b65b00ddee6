-- other_administrators: says whether anybody else may administer.
SELECT EXISTS (SELECT FROM people WHERE id <> $1 AND disabled_at IS NULL AND 'administrator' = ANY (roles))
