-- What needs attention is looked for by its time, so that whoever is to be told of it hears of it in any case.

CREATE INDEX timeline_attention ON timeline (recorded_at) WHERE attention;
