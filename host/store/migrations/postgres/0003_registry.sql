CREATE TABLE tidemill_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    hash BYTEA NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    revoked_by TEXT,
    used_at BIGINT
);
CREATE INDEX tidemill_tokens_newest ON tidemill_tokens (created_at DESC, id DESC);

CREATE TABLE tidemill_audit (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    token TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    status BIGINT NOT NULL,
    code TEXT,
    remote TEXT NOT NULL,
    request TEXT NOT NULL
);

CREATE TABLE tidemill_components (
    digest TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    description TEXT NOT NULL,
    pushed_at BIGINT NOT NULL,
    pushed_by TEXT NOT NULL
);
CREATE INDEX tidemill_components_newest ON tidemill_components (pushed_at DESC, digest DESC);
CREATE INDEX tidemill_components_of_name ON tidemill_components (name, pushed_at DESC, digest DESC);

CREATE TABLE tidemill_tags (
    name TEXT NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL REFERENCES tidemill_components (digest),
    moved_at BIGINT NOT NULL,
    moved_by TEXT NOT NULL,
    PRIMARY KEY (name, tag)
);
CREATE INDEX tidemill_tags_of_digest ON tidemill_tags (digest);

CREATE TABLE tidemill_tag_moves (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT,
    at BIGINT NOT NULL,
    who TEXT NOT NULL
);
CREATE INDEX tidemill_tag_moves_of_tag ON tidemill_tag_moves (name, tag, number DESC);

CREATE TABLE tidemill_pipelines (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    file_name TEXT NOT NULL,
    text TEXT NOT NULL,
    summary TEXT NOT NULL,
    deployed_at BIGINT NOT NULL,
    deployed_by TEXT NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE TABLE tidemill_pipeline_components (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    reference TEXT NOT NULL,
    digest TEXT,
    task TEXT,
    tag TEXT,
    PRIMARY KEY (name, version, reference),
    FOREIGN KEY (name, version) REFERENCES tidemill_pipelines (name, version) ON DELETE CASCADE
);
CREATE INDEX tidemill_pipeline_components_of_digest ON tidemill_pipeline_components (digest);

CREATE TABLE tidemill_pipeline_files (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (name, version, path),
    FOREIGN KEY (name, version) REFERENCES tidemill_pipelines (name, version) ON DELETE CASCADE
);
CREATE INDEX tidemill_pipeline_files_of_digest ON tidemill_pipeline_files (digest);

CREATE TABLE tidemill_run_components (
    run TEXT NOT NULL REFERENCES tidemill_runs (id) ON DELETE CASCADE,
    reference TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (run, reference)
);
CREATE INDEX tidemill_run_components_of_digest ON tidemill_run_components (digest);
