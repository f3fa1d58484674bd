"""Fill a PostgreSQL database with any number of tickets as a support desk has them, by SQL.

Two years of tickets whatever their number: 1 % unsolved and most of those young, an account for
every 20 tickets. What one page lists of a rare kind is as much in a small table as in a large one
(RARE tickets), and so is the busy account: its own list is 2,000 long.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import psycopg

BATCH = 50_000
AGENTS = 20
RARE = 100
BUSY = 2_000
BUSY_ACCOUNT = "busybody"
WAITING = 100_000

ACCOUNTS = """
INSERT INTO accounts_user (username, email, password, is_staff, is_superuser, is_active,
    first_name, last_name, date_joined, plan_id, token_balance)
SELECT name, name || '@example.com', '!', agent, name = 'agent1', true, '', '', now(), 'pro', 0
FROM (
    SELECT 'customer' || i AS name, false AS agent
        FROM generate_series(1, greatest(500, %(total)s::int / 20)) AS i
    UNION ALL SELECT 'agent' || i, true FROM generate_series(1, %(agents)s::int) AS i
    UNION ALL SELECT %(busy_account)s, false
) AS accounts
"""
TICKETS = """
INSERT INTO support_tickets (
    id, created_at, updated_at, email_status, sent_at, attempts, last_error, attempt_log,
    user_id, type, reply_address, message, subscription_plan, token_balance, api_key_prefix,
    api_key_name, content_digest, state, priority, assignee_id, first_replied_at, solved_at)
SELECT
    (lpad(to_hex((extract(epoch FROM t) * 1000)::bigint), 12, '0') || '7' || substr(h, 1, 3)
        || '8' || substr(h, 4, 15))::uuid,
    t, t, CASE WHEN i %% rare = 13 THEN 'failed' WHEN i %% rare = 14 THEN 'pending'
               WHEN i %% 50 = 0 THEN 'stored' ELSE 'sent' END,
    t, 1, '', '[{"at": "2026-01-01T00:00:00Z", "ms": 41, "outcome": "sent"}]',
    CASE WHEN i %% busy = 3 THEN u.busiest ELSE u.first + ('x' || substr(h, 1, 7))::bit(28)::int
        %% u.number END,
    CASE WHEN i %% rare = 7 THEN 'partnership' ELSE
        (ARRAY['billing','technical','technical','feedback','account','security'])[1 + i %% 6] END,
    'customer' || i %% 5000 || '@example.com',
    (ARRAY['Charged twice','Time-outs since noon','Webhook signature','Key rotation'])[1 + i %% 4]
        || ' in case ' || i || E'\n\n'
        || CASE WHEN i %% 3 = 0 THEN 'The invoice is wrong. ' ELSE 'The answer is late. ' END
        || CASE WHEN i %% rare = 11 THEN 'xylophone ' ELSE '' END || 'See w' || substr(h, 1, 4)
        || repeat('. We saw this on several hosts and cannot explain it', 1 + i %% 5),
    (ARRAY['free','pro','pro','enterprise'])[1 + i %% 4], i %% 900000, 'ctxfy_' || substr(h, 1, 6),
    'production', h, s.state, CASE WHEN i %% 200 = 3 THEN 4 WHEN i %% 9 = 0 THEN 3 ELSE 2 END,
    CASE WHEN s.state = 'new' THEN NULL ELSE u.agent + i %% %(agents)s::int END,
    CASE WHEN s.state = 'new' THEN NULL ELSE t + interval '3 hours' END,
    CASE WHEN s.state IN ('solved', 'closed') THEN t + interval '20 hours' END
FROM generate_series(%(first)s::int, %(last)s::int) AS i,
    LATERAL (SELECT now() - interval '730 days' * (1 - i::float / %(total)s::int)
                    - interval '1 minute' AS t, md5(i::text) AS h,
                    %(total)s::int / %(rare)s::int AS rare,
                    %(total)s::int / %(busy)s::int AS busy) AS x,
    LATERAL (SELECT CASE
        WHEN i > %(total)s::int * 0.99 AND i %% 4 < 3
            THEN (ARRAY['new','open','waiting'])[1 + i %% 3]
        WHEN i %% 400 = 5 THEN 'open'
        WHEN i %% 5 = 0 THEN 'closed' ELSE 'solved' END AS state) AS s,
    (SELECT min(id) FILTER (WHERE username LIKE 'customer%%') AS first,
            (count(*) FILTER (WHERE username LIKE 'customer%%'))::int AS number,
            min(id) FILTER (WHERE username = %(busy_account)s) AS busiest,
            min(id) FILTER (WHERE username LIKE 'agent%%') AS agent FROM accounts_user) AS u
"""
EXTRAS = """
INSERT INTO support_tags (name) VALUES ('bug'), ('rare');
INSERT INTO support_ticket_events (ticket_id, at, kind, before, after, text)
    SELECT id, created_at, 'state', 'new', 'open', '' FROM support_tickets
    WHERE token_balance % 5 = 0;
INSERT INTO support_tickets_tags (ticket_id, tag_id)
    SELECT id, (SELECT id FROM support_tags WHERE name = 'bug') FROM support_tickets
    WHERE token_balance % 10 = 0;
INSERT INTO support_tickets_tags (ticket_id, tag_id)
    SELECT id, (SELECT id FROM support_tags WHERE name = 'rare') FROM support_tickets
    WHERE message LIKE '%xylophone%';
INSERT INTO support_replies (
    id, created_at, updated_at, email_status, attempts, last_error, attempt_log, ticket_id,
    author_id, "to", text)
    SELECT gen_random_uuid(), created_at, created_at,
        CASE type WHEN 'partnership' THEN (ARRAY['failed', 'pending'])[1 + token_balance % 2]
            ELSE 'sent' END,
        1, '', '[]', id, assignee_id, reply_address, 'It is mended.'
    FROM support_tickets
    WHERE assignee_id IS NOT NULL AND (token_balance % 10 = 4 OR type = 'partnership');
INSERT INTO support_replies (
    id, created_at, updated_at, email_status, attempts, last_error, attempt_log, ticket_id,
    "to", text, via)
    SELECT gen_random_uuid(), created_at + interval '4 hours', created_at, 'sent', 1, '', '[]', id,
        'support@example.com', 'It happened again.', 'api'
    FROM support_tickets WHERE token_balance % 20 = 4;
INSERT INTO support_inbound_mails (
    id, received_at, way, digest, outcome, reason, sender, recipient, subject, text, quoted, raw)
    SELECT gen_random_uuid(), created_at, 'imap', id::text,
        CASE type WHEN 'partnership' THEN 'unmatched' ELSE 'stored' END,
        '', reply_address, 'support@example.com', 'Re: your answer', 'It happened again.', '', ''
    FROM support_tickets WHERE token_balance % 20 = 4 OR type = 'partnership';
"""
# The outage day: as many mails wait as a worker needs minutes for. They have been tried before.
WAIT = """
INSERT INTO support_tickets (
    id, created_at, updated_at, email_status, attempts, next_attempt_at, last_error, attempt_log,
    user_id, type, reply_address, message, subscription_plan, token_balance, api_key_prefix,
    api_key_name, content_digest, state, priority)
SELECT gen_random_uuid(), now() - interval '1 second' * i, now(), 'pending', 0,
    now() - interval '1 second' * i, '', '[]', (SELECT min(id) FROM accounts_user), 'outage',
    'ada@example.com', 'Nothing answers.', 'pro', 0, 'ctxfy_123456', 'production', '', 'new', 2
FROM generate_series(1, %s::int) AS i
"""


def fill(url, total):
    """Put this many tickets into an empty, migrated database.

    Indexes are built when the rows are there: with them it would take several times as long.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        numbers = {"total": total, "agents": AGENTS, "busy_account": BUSY_ACCOUNT}
        connection.execute(ACCOUNTS, numbers)
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'support_tickets'"
            " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            starts = range(1, total + 1, BATCH)
            list(threads.map(lambda first: _insert(url, first, total), starts))
        for _, definition in indexes:
            connection.execute(definition)
        for statement in EXTRAS.split(";\n"):
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE")


def _insert(url, first, total):
    with psycopg.connect(url, autocommit=True) as connection:
        last = min(first + BATCH - 1, total)
        numbers = {"first": first, "last": last, "total": total, "rare": RARE, "busy": BUSY}
        numbers |= {"agents": AGENTS, "busy_account": BUSY_ACCOUNT}
        connection.execute(TICKETS, numbers)
