-- What a run refers to: a ticket, a dashboard, a paper.
CREATE TABLE tidemill_links (
    run TEXT NOT NULL REFERENCES tidemill_runs (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    title TEXT NOT NULL,
    url TEXT NOT NULL,
    PRIMARY KEY (run, number)
);
