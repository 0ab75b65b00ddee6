-- judge_inject: notes whether what an inject expected was seen; the first judgement stays.
UPDATE drill_injects SET rating = $3, judged_at = $4, rated_because = $5 WHERE drill_id = $1 AND inject = $2 AND rating IS NULL
