CREATE TABLE yardstick_plan (
    slug varchar(50) PRIMARY KEY,
    requests_per_minute integer NOT NULL
);
CREATE TABLE yardstick_account (
    id bigserial PRIMARY KEY,
    username varchar(150) NOT NULL UNIQUE,
    is_active boolean NOT NULL,
    plan_id varchar(50) NOT NULL REFERENCES yardstick_plan DEFERRABLE INITIALLY DEFERRED,
    token_balance bigint NOT NULL
);
CREATE TABLE yardstick_key (
    id uuid PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES yardstick_account DEFERRABLE INITIALLY DEFERRED,
    digest varchar(64) NOT NULL UNIQUE,
    revoked_at timestamptz
);
CREATE TABLE yardstick_ticket (
    id uuid PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES yardstick_account DEFERRABLE INITIALLY DEFERRED,
    type varchar(64) NOT NULL,
    reply_address varchar(320) NOT NULL,
    message text NOT NULL,
    subscription_plan varchar(50) NOT NULL,
    token_balance bigint NOT NULL,
    status varchar(10) NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX yardstick_ticket_of_account ON yardstick_ticket (account_id, created_at DESC, id DESC);
INSERT INTO yardstick_plan VALUES ('pro', 100000000);
INSERT INTO yardstick_account VALUES (1, 'ada', true, 'pro', 120000);
INSERT INTO yardstick_key VALUES (gen_random_uuid(), 1, '{digest}', NULL);
INSERT INTO yardstick_ticket
SELECT gen_random_uuid(), 1, 'billing', 'ada@example.com', repeat('Charged twice in October. ', 8),
       'pro', 120000, 'stored', now() - n * interval '1 minute', now()
FROM generate_series(1, 100) AS n;
