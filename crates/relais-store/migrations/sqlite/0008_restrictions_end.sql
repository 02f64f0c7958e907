-- To find restrictions that are over without a look at all that last.
ALTER TABLE restrictions ADD COLUMN until INTEGER GENERATED ALWAYS AS (json_extract(data, '$.until')) VIRTUAL;
CREATE INDEX restrictions_until ON restrictions (until) WHERE until IS NOT NULL;
