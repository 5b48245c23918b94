-- Whether the machine that uses a join token may choose labels of its own.
ALTER TABLE joins ADD COLUMN machine_labels BIGINT NOT NULL DEFAULT 0;
