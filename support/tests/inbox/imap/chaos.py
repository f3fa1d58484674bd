"""The bar that takes minutes of mail that comes in: fetchers killed over real mailboxes (R18).

`make chaos`, or `python -m support.tests.inbox.imap.chaos [--mails N --kills N] [--on SQLite]`,
prints a line for each database and exits 1 where a mail was lost, stored twice or left unseen.
test_fetch_kills.py makes the run, small, in the test database.
"""

import argparse
import itertools
import os
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass

import django

from ctxfy_support.tests.dovecot import Dovecot
from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import CommandProcess, run_command, suite_environment
from support.tests.chaos import wait_until
from support.tests.inbox.imap.mails import make_mail

DATABASES = ("SQLite", "PostgreSQL")
# As often each mail is delivered.
COPIES = 3
FETCHERS = 2
RUN_SECONDS = 1_800


@dataclass(frozen=True)
class Outcome:
    mails: int
    kills: int
    stored: int
    twice: int
    unseen: int
    # Kills that came while there was work in hand.
    in_the_middle: int

    @property
    def is_complete(self):
        return (self.stored, self.twice, self.unseen) == (self.mails, 0, 0)

    def __str__(self):
        return (
            f"{self.mails} mails, each {COPIES} times, {self.kills} kills of {FETCHERS} fetchers "
            f"({self.in_the_middle} with mails left): {self.mails - self.stored} lost, "
            f"{self.twice} stored twice, {self.unseen} left unseen"
        )


def count_rows():
    from support.inbound_mail import InboundMail

    return InboundMail.objects.count()


def run_kills(env, mailbox, *, mails, kills):
    """Deliver mails bit by bit, and kill the fetchers while they take them in."""
    from support.inbound_mail import InboundMail

    env = env | mailbox.env
    before = count_rows()
    rounds = kills // FETCHERS
    numbers = iter(range(mails))
    in_the_middle = 0
    for index in range(rounds):
        share = mails * (index + 1) // rounds - mails * index // rounds
        copies = [make_mail(n) for n in itertools.islice(numbers, share) for _ in range(COPIES)]
        mailbox.append(*copies)
        with ExitStack() as stack:
            fetchers = [
                stack.enter_context(CommandProcess("fetch_replies", "--watch", env=env))
                for _ in range(FETCHERS)
            ]
            enough = min(count_rows() + random.randint(1, max(1, share)), before + mails)
            assert wait_until(lambda enough=enough: count_rows() >= enough, 60), fetchers[0].output
            for fetcher in fetchers:
                fetcher.kill()
        in_the_middle += FETCHERS * bool(mailbox.find("UNSEEN"))
    last = run_command("fetch_replies", env=env, timeout=600)
    assert last.returncode == 0, last.stderr
    subjects = list(InboundMail.objects.values_list("subject", flat=True))
    return Outcome(
        mails=mails,
        kills=rounds * FETCHERS,
        stored=len({subject for subject in subjects if subject.startswith("mail ")}),
        twice=len(subjects) - len(set(subjects)),
        unseen=len(mailbox.find("UNSEEN")),
        in_the_middle=in_the_middle,
    )


def run_here(options):
    """Run it on the database that the environment names; return whether the bar was held."""
    random.seed(options.seed)
    os.environ.update(suite_environment())
    os.environ["DJANGO_SETTINGS_MODULE"] = "ctxfy_support.settings"
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    env = {"DATABASE_URL": os.environ["DATABASE_URL"]}
    with Dovecot() as dovecot:
        outcome = run_kills(env, dovecot.make_mailbox(), mails=options.mails, kills=options.kills)
    print(outcome, flush=True)
    return outcome.is_complete


def run_apart(database, arguments):
    """Run it in a process of its own, with a new database."""
    print(f"R18 {database}: ", end="", flush=True)
    with ExitStack() as stack:
        if database == "PostgreSQL":
            url = stack.enter_context(PostgresServer()).url
        else:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            url = f"sqlite:///{directory}/chaos.sqlite3"
        command = [sys.executable, "-m", "support.tests.inbox.imap.chaos", *arguments, "--here"]
        run = subprocess.run(
            command, env=os.environ | {"DATABASE_URL": url}, timeout=RUN_SECONDS, check=False
        )
    return run.returncode == 0


def main(arguments):
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--on", default=",".join(DATABASES), help=f"of {', '.join(DATABASES)}")
    parser.add_argument("--mails", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.here:
        return 0 if run_here(options) else 1
    arguments = [*arguments, "--seed", str(options.seed)]
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    held = [run_apart(database, arguments) for database in options.on.split(",")]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
