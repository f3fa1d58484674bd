"""R11: keys, Authorization values and mail credentials stand in no table, log or page."""

import pytest
import requests
from django.urls import reverse

from accounts.tests.factories import APIKeyFactory
from ctxfy_support.tests.dump import dump_tables
from ctxfy_support.tests.processes import run_command
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/v1/support/tickets"
TICKET = {"type": "billing", "reply_address": "ada@example.com", "message": "Charged twice."}


def use_up(url, secret):
    """Every kind of answer, with the key wherever a client may put it by mistake."""
    good = {"Authorization": f"Bearer {secret}"}
    requests.post(url + PATH, json=TICKET, headers=good, timeout=30)
    requests.post(url + PATH, data="{", headers=good, timeout=30)
    requests.get(f"{url}{PATH}/{secret}?key={secret}", headers=good, timeout=30)
    requests.get(f"{url}/v1/{secret}", headers={"Authorization": f"Basic {secret}"}, timeout=30)
    requests.get(url + PATH, headers=good | {"Host": f"{secret}.example"}, timeout=30)
    issued = requests.post(f"{url}/v1/api-keys", headers=good, timeout=30).json()["api_key"]
    return [secret, issued]


@pytest.mark.parametrize(
    ("kind", "wrong", "debug"),
    [("smtp", False, "false"), ("smtp", True, "true"), ("sendgrid", True, "false")],
    ids=["accepted", "refused, in development", "refused"],
)
def test_stay_out_of_tables_and_logs(service, request, process_env, kind, wrong, debug):
    server = request.getfixturevalue(f"{kind}_server")
    name = "GOOGLE_SMTP_PASSWORD" if kind == "smtp" else "SENDGRID_API_KEY"
    env = server.env | {"DEBUG": debug}
    if wrong:
        env[name] = "wrong-but-secret-credential"
    running = service(**env)
    secrets = [env[name], *use_up(running.url, APIKeyFactory().secret)]
    resent = run_command("resend_failed_emails", env=process_env | env)
    running.stop()
    seen = dump_tables() + running.output + resent.stdout + resent.stderr
    assert "Charged twice." in seen
    for secret in secrets:
        assert secret not in seen
        assert secret[-30:] not in seen


def test_stay_off_the_pages(admin_client):
    key = APIKeyFactory()
    ticket = TicketFactory(user=key.user, api_key_prefix=key.key_prefix)
    for url in (
        reverse("admin:accounts_apikey_changelist"),
        reverse("admin:accounts_apikey_change", args=[key.pk]),
        reverse("admin:support_ticket_change", args=[ticket.pk]),
        "/health",
        "/metrics",
        "/openapi.json",
    ):
        page = admin_client.get(url).content.decode()
        assert key.secret not in page
        assert key.digest not in page
