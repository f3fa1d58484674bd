"""deploy/monitoring: alert rules and dashboard ask for nothing that /metrics does not tell."""

import json
import re
import shutil

import pytest
import yaml
from django.utils import timezone

from accounts.tests.factories import APIKeyFactory
from ctxfy_support.tests.proxies import DEPLOY, check
from support.delivery.monitoring import count_attempt
from support.failures import Failure, FailureKind
from support.fetchers import Fetcher

FOLDER = DEPLOY / "monitoring"
OF_PROMETHEUS = {"up": {"job", "instance"}}


def rules():
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels():
    return json.loads((FOLDER / "dashboard.json").read_text())["panels"]


def expressions():
    queries = [target["expr"] for panel in panels() for target in panel["targets"]]
    return queries + [rule["expr"] for rule in rules()]


@pytest.fixture
def samples(client, db):
    """The names in a real answer, each with the labels it has there."""
    headers = {"Authorization": f"Bearer {APIKeyFactory().secret}"}
    body = {"type": "billing", "reply_address": "x", "message": "x"}
    client.post("/v1/support/tickets", body, "application/json", headers=headers)
    Fetcher.objects.create(name="a:1", fetched_at=timezone.now())
    count_attempt(None)
    count_attempt(Failure(FailureKind.TRANSIENT, "timeout", "away"))
    found = {}
    for line in client.get("/metrics").content.decode().splitlines():
        if not line.startswith("#"):
            name = re.match(r"\w+", line)[0]
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', line))
    return found


def test_ask_for_what_there_is(samples):
    known = samples | OF_PROMETHEUS
    for expression in expressions():
        asked = re.findall(r"\b((?:support|http)_\w+|up)\b(?:\{([^}]*)\})?", expression)
        assert asked, expression
        for name, selectors in asked:
            assert name in known, expression
            # What a process could not write down has this label more.
            labels = set(re.findall(r"(\w+)[=!]", selectors)) - {"unwritten"}
            assert labels <= known[name], expression


def test_name_a_route_that_is_counted(client, samples):
    answer = client.get("/metrics").content.decode()
    for route in set(re.findall(r'route="([^"]+)"', "\n".join(expressions()))):
        assert f'route="{route}"' in answer


def test_say_what_to_do():
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "action"}
        assert "for" in rule


def test_try_every_rule():
    text = (FOLDER / "alerts.test.yml").read_text()
    assert [rule["alert"] for rule in rules() if rule["alert"] not in text] == []


def test_pass_promtool():
    # Not asked for by CI: Prometheus has 100 MB.
    if (program := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed")
    check([program, "check", "rules", "alerts.yml"], cwd=FOLDER)
    check([program, "test", "rules", "alerts.test.yml"], cwd=FOLDER)


def test_have_panels_that_do_not_overlap():
    squares = [
        (x, y)
        for panel in panels()
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(squares) == len(set(squares))
    assert max(x for x, _ in squares) < 24
