"""What a request costs, as ratios within one run: `python -m ctxfy_support.tests.bench`.

Processor time of the service alone, on PostgreSQL, four clients with a connection each; the unit
is the cheapest answer that Django gives here (/health/live). Absolute times are this machine's.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil

from ctxfy_support.tests.chaos import PATH, Client, postgresql, prepare
from ctxfy_support.tests.hostile import TICKET
from ctxfy_support.tests.processes import ServiceProcess, run_command
from ctxfy_support.tests.smtp_server import SMTPServer

CLIENTS = 4
REQUESTS = 500
ROUNDS = 3


def processor_seconds(service):
    process = psutil.Process(service.pid)
    processes = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in processes)


def measure(service, key, method, path):
    """Milliseconds of the service's processor time for one request, the least of all rounds."""
    body = json.dumps(TICKET) if method == "POST" else None
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def send(count):
        connection = Client(service, key).connection
        for _ in range(count):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status in {200, 201}, answer.status
        connection.close()

    send(50)
    costs = []
    for _ in range(ROUNDS):
        before = processor_seconds(service)
        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(send, [REQUESTS] * CLIENTS))
        costs.append((processor_seconds(service) - before) / REQUESTS / CLIENTS * 1_000)
    return min(costs)


_ALONE = """
import time
from django.test import RequestFactory
from ctxfy_support.wsgi import application

def ask():
    answer = application(dict(environ), lambda *args: None)
    b"".join(answer)
    answer.close()

environ = RequestFactory().get("/health/live").environ
for _ in range(100):
    ask()
costs = []
for _ in range(3):
    before = time.process_time()
    for _ in range(1000):
        ask()
    costs.append(time.process_time() - before)
print(min(costs))
"""


def measure_alone(url):
    """Milliseconds for /health/live within a process: what is above it is the web server's."""
    return float(run_command("shell", "-v", "0", "-c", _ALONE, env={"DATABASE_URL": url}).stdout)


def main():
    rows = []
    with postgresql() as url:
        key = prepare(url)
        alone = measure_alone(url)
        with ServiceProcess(env={"DATABASE_URL": url}) as service:
            rows.append(("GET /health/live", measure(service, key, "GET", "/health/live")))
            rows.append((f"POST {PATH}, stored", measure(service, key, "POST", PATH)))
            detail = f"{PATH}?per_page=1"
            rows.append((f"GET {detail}", measure(service, key, "GET", detail)))
        with (
            SMTPServer() as smtp,
            ServiceProcess(env={"DATABASE_URL": url, **smtp.env}) as service,
        ):
            rows.append((f"POST {PATH}, mailed over SMTP", measure(service, key, "POST", PATH)))
        for threads in (1, 4, 16):
            with ServiceProcess(env={"DATABASE_URL": url}, processes=2, threads=threads) as service:
                name = f"POST {PATH}, 2 processes of {threads}"
                rows.append((name, measure(service, key, "POST", PATH)))
    rows.append(("GET /health/live, no web server", alone))
    unit = rows[0][1]
    print(f"{'request':45} {'ms':>6} {'ratio':>6}")
    for name, milliseconds in rows:
        print(f"{name:45} {milliseconds:6.2f} {milliseconds / unit:6.1f}")


if __name__ == "__main__":
    sys.exit(main())
