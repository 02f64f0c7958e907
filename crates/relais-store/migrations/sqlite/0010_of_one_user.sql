-- What is one user's is found without looking at everybody's: an export and an erasure ask for it.
CREATE INDEX items_of_owner ON items (owner, number) WHERE owner IS NOT NULL;
CREATE INDEX items_of_assignee ON items (assignee, number) WHERE assignee IS NOT NULL;
CREATE INDEX marks_user ON marks (user);
CREATE INDEX rooms_creator ON rooms (created_by) WHERE created_by IS NOT NULL;
