"""Whether memory stays flat: `python -m ctxfy_support.tests.memory [--requests N] [--mails N]`.

A web process takes requests and a worker sends mails, each on a PostgreSQL of its own; resident
memory (MB) is read after a tenth of them and at the end. Exit status 1 if one grew by over 10 %.
"""

import argparse
import json
import sys
import time

import psutil

from ctxfy_support.tests.chaos import PATH, Client, postgresql, prepare
from ctxfy_support.tests.hostile import TICKET
from ctxfy_support.tests.processes import CommandProcess, ServiceProcess
from ctxfy_support.tests.smtp_server import SMTPServer

MOST_GROWTH = 1.1


def resident_megabytes(pid):
    process = psutil.Process(pid)
    return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]) / 2**20


def send(client, count):
    """A POST and then nine reads, over and over."""
    headers = {"Authorization": f"Bearer {client.key}"}
    for number in range(count):
        if number % 10 == 0:
            status, _, _ = client.post(json.dumps(TICKET))
            assert status == 201, status
            continue
        client.connection.request("GET", f"{PATH}?per_page=5", headers=headers)
        answer = client.connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status


def measure_requests(count):
    with postgresql() as url:
        key = prepare(url)
        with ServiceProcess(env={"DATABASE_URL": url}) as service:
            client = Client(service, key)
            sizes = []
            for share in (count // 10, count - count // 10):
                send(client, share)
                sizes.append(resident_megabytes(service.pid))
    return sizes


def measure_mails(count):
    """The mails come by the API as long as the worker runs, so none waits for long."""
    with postgresql() as url, SMTPServer() as smtp:
        key = prepare(url)
        env = {"DATABASE_URL": url, "SUPPORT_EMAIL_DELIVERY": "background", **smtp.env}
        with (
            ServiceProcess(env=env) as service,
            CommandProcess("resend_failed_emails", "--watch", env=env) as worker,
        ):
            client, sizes, sent = Client(service, key), [], 0
            for share in (count // 10, count - count // 10):
                for _ in range(share):
                    client.post(json.dumps(TICKET))
                sent += share
                while len(smtp.messages) < sent:
                    time.sleep(0.1)
                sizes.append(resident_megabytes(worker.pid))
    return sizes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--mails", type=int, default=100_000)
    options = parser.parse_args()
    good = True
    for name, measure, count in (
        ("web, requests", measure_requests, options.requests),
        ("worker, mails", measure_mails, options.mails),
    ):
        if not count:
            continue
        before, after = measure(count)
        good = good and after <= before * MOST_GROWTH
        print(f"{name} {count:,}: {before:.1f} MB after a tenth, {after:.1f} MB at the end")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
