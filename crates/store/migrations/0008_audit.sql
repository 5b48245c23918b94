-- Entries tell what kind of thing was done, from where, as part of which request, and what it changed.
ALTER TABLE audit RENAME COLUMN result TO status;
ALTER TABLE audit ADD COLUMN kind TEXT NOT NULL DEFAULT 'change';
-- `done`, `refused` or `failed`.
ALTER TABLE audit ADD COLUMN result TEXT;
ALTER TABLE audit ADD COLUMN address TEXT;
ALTER TABLE audit ADD COLUMN request TEXT;
ALTER TABLE audit ADD COLUMN detail TEXT;
-- How often it happened, since `at`, and when last.
ALTER TABLE audit ADD COLUMN times BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit ADD COLUMN last_at BIGINT;

UPDATE audit SET result = CASE
    WHEN status LIKE '4%' THEN 'refused'
    WHEN status LIKE '5%' THEN 'failed'
    ELSE 'done' END
WHERE status IS NOT NULL;
UPDATE audit SET kind = 'sign-in' WHERE verb IN ('POST /api/v1/session', 'POST /api/v1/session/token', 'DELETE /api/v1/session');
UPDATE audit SET kind = 'agent' WHERE verb = 'POST /api/v1/join';
UPDATE audit SET kind = 'secret' WHERE verb LIKE '% /api/v1/yards/{yard}/secrets/{name}'
    OR verb IN ('POST /api/v1/tokens', 'DELETE /api/v1/tokens/{id}', 'POST /api/v1/joins');
UPDATE audit SET kind = 'definition' WHERE verb IN ('PUT /api/v1/yards/{yard}', 'DELETE /api/v1/yards/{yard}',
    'POST /api/v1/yards/{yard}/runs', 'PUT /api/v1/yards/{yard}/stacks/{stack}',
    'DELETE /api/v1/yards/{yard}/stacks/{stack}', 'POST /api/v1/yards/{yard}/stacks/{stack}/scale',
    'POST /api/v1/yards/{yard}/stacks/{stack}/rollback', 'POST /api/v1/yards/{yard}/stacks/{stack}/update');
