-- Its number is never given again, so the row stays.
ALTER TABLE tidemill_pipelines ADD COLUMN removed_at BIGINT;
