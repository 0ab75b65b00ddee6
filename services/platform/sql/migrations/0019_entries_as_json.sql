-- What a decision adds to a timeline reaches the database once, as the messages it is told with; their rows are made here.

DROP TYPE new_entry;
