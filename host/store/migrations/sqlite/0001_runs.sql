CREATE TABLE tidemill_hosts (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    began_at BIGINT NOT NULL,
    beat BIGINT NOT NULL,
    fenced BIGINT NOT NULL
);

CREATE TABLE tidemill_runs (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline TEXT NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    wanted TEXT NOT NULL,
    priority BIGINT NOT NULL,
    owner TEXT REFERENCES tidemill_hosts (id),
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    began_at BIGINT,
    ended_at BIGINT,
    description TEXT NOT NULL,
    labels TEXT NOT NULL,
    idempotency_key TEXT UNIQUE,
    request TEXT NOT NULL,
    record TEXT,
    summary TEXT
);
CREATE INDEX tidemill_runs_newest ON tidemill_runs (created_at DESC, id DESC);
CREATE INDEX tidemill_runs_of_pipeline ON tidemill_runs (pipeline, created_at DESC, id DESC);
CREATE INDEX tidemill_runs_waiting ON tidemill_runs (state, priority DESC, created_at, id);

CREATE TABLE tidemill_journal (
    run TEXT NOT NULL REFERENCES tidemill_runs (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    entries TEXT NOT NULL,
    PRIMARY KEY (run, seq)
);

CREATE TABLE tidemill_notes (
    run TEXT NOT NULL REFERENCES tidemill_runs (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, number)
);
