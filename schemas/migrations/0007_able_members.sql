-- Whether a member can do what it would be given: one that is not leaves its share to those that are.
ALTER TABLE follower_members ADD COLUMN is_able boolean NOT NULL DEFAULT true;
