-- Hosts whose machines are to be made anew by the next run of their yard: who asked for it, and when.
ALTER TABLE hosts ADD COLUMN replace_by TEXT;
ALTER TABLE hosts ADD COLUMN replace_at BIGINT;
