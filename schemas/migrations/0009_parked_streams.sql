-- A stream that is discarded is passed over like one that is parked, but nobody waits for it any more.
-- `parked_by` is the code that could not apply its event; other code tries again when it takes over.
ALTER TABLE parked_streams ADD COLUMN discarded boolean NOT NULL DEFAULT false;
ALTER TABLE parked_streams ADD COLUMN parked_by text NOT NULL DEFAULT '';
