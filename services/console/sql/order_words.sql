-- order_words: lists what the department itself said about an assignment, and what was turned down, oldest first.
SELECT entry, by, reason, detail, occurred_at, recorded_at FROM timeline
WHERE incident_id = $1 AND assignment_id = $2
  AND entry IN ('assignment_delivered', 'assignment_acknowledged', 'assignment_committed', 'assignment_declined',
      'assignment_started', 'department_on_scene', 'progress_noted', 'assignment_completed', 'assignment_failed',
      'assignment_delegated', 'obstacle_reported', 'obstacle_taken', 'obstacle_resolved', 'answer_refused')
ORDER BY seq
