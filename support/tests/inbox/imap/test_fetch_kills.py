"""Fetchers that are killed, and several at once; chaos.py has the long runs."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from ctxfy_support.tests.processes import run_command
from support.inbound_mail import InboundMail
from support.tests.inbox.imap import chaos
from support.tests.inbox.imap.mails import make_mail

pytestmark = pytest.mark.django_db(transaction=True)


def test_stores_each_mail_once_whoever_is_killed(process_env, mailbox):
    random.seed(4)
    outcome = chaos.run_kills(process_env, mailbox, mails=40, kills=10)
    assert outcome.is_complete, outcome
    assert outcome.in_the_middle


def test_stores_each_mail_once_where_two_fetch(process_env, mailbox):
    mailbox.append(*map(make_mail, range(40)))
    env = process_env | mailbox.env
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: run_command("fetch_replies", env=env), range(2)))
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr + runs[1].stderr
    assert InboundMail.objects.count() == 40
    assert mailbox.find("UNSEEN") == []
