-- Address at which others reach a host: the first one that its agent told. Null until it told one, and for hosts that
-- joined before this column: then the first of their facts counts.
ALTER TABLE hosts ADD COLUMN address TEXT;
