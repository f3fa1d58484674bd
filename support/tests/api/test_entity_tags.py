"""`ETag` on one ticket: another one for every state of it, and 304 to whoever has that already."""

import pytest
import requests

from accounts.tests.factories import PlanFactory
from support.answering import write_reply
from support.delivery import attempts
from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

PATH = "/v1/support/tickets"


@pytest.fixture
def ticket(api_key):
    return TicketFactory(user=api_key.user)


@pytest.fixture
def get(api, ticket):
    """`get(known)`: the ticket, unless it is what `known` names."""

    def get(known=None, method="get"):
        headers = {} if known is None else {"If-None-Match": known}
        return getattr(api, method)(f"{PATH}/{ticket.pk}", headers=headers)

    return get


def test_is_the_same_as_long_as_the_ticket_is(get):
    tags = {get()["ETag"] for _ in range(3)}
    assert len(tags) == 1
    assert get(method="head")["ETag"] in tags


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize(
    "known", ["{}", "W/{}", '"x", {}', '"x",W/{} , "y"', "*", " * "], ids=range(6)
)
def test_sends_nothing_twice(get, known, method):
    before = get()
    answer = get(known.format(before["ETag"]), method)
    assert (answer.status_code, answer.content) == (304, b"")
    for name in ("Content-Type", "Content-Length"):
        assert name not in answer.headers
    assert set(before.headers) - set(answer.headers) == {"Content-Type", "Content-Length"}
    assert answer["ETag"] == before["ETag"]
    assert answer["X-Request-Id"].startswith("req_")


@pytest.mark.parametrize("known", ["", '"x"', "x", "{}x", "W/*", '"*"', "\x00", '"' * 3, "{bare}"])
def test_sends_what_is_not_known(get, known):
    tag = get()["ETag"]
    answer = get(known.format(tag, bare=tag.strip('"')))
    assert answer.status_code == 200
    assert answer.json()


def test_counts_against_the_limit(get, api_key):
    plan = PlanFactory(slug="two", requests_per_minute=2)
    type(api_key.user).objects.filter(pk=api_key.user.pk).update(plan=plan)
    tag = get()["ETag"]
    answer = get(tag)
    assert (answer.status_code, answer["X-RateLimit-Remaining"]) == (304, "0")
    assert get(tag).status_code == 429


def test_tells_nobody_of_a_strangers_ticket(api):
    answer = api.get(f"{PATH}/{TicketFactory().pk}", headers={"If-None-Match": "*"})
    assert answer.status_code == 404
    assert "ETag" not in answer


def test_is_another_after_every_change(get, ticket, agent, use_mail, smtp_server):
    use_mail(smtp_server)
    tags = [get()["ETag"]]

    def look():
        answer = get(tags[-1])
        assert answer.status_code == 200
        tags.append(answer["ETag"])

    assert attempts.attempt_next()  # A worker sends its mail.
    look()
    assert Ticket.objects.filter(pk=ticket.pk).change(agent, state="open")
    look()
    write_reply(ticket, agent, "It is mended.", leased=False)
    look()
    assert Ticket.objects.filter(pk=ticket.pk).change(agent, state="solved")
    look()
    # A change that leaves no time behind, as one by hand in the database.
    Ticket.objects.filter(pk=ticket.pk).update(message="Masked later.")
    look()
    assert len(set(tags)) == 6


def test_does_not_change_with_what_is_not_shown(get, ticket, agent):
    tag = get()["ETag"]
    ticket.add_note(agent, "A difficult customer.")
    Ticket.objects.filter(pk=ticket.pk).change(agent, priority=4, assignee=agent)
    assert get(tag).status_code == 304


def test_costs_no_query_more(get, django_assert_num_queries):
    tag = get()["ETag"]
    with django_assert_num_queries(2):  # key and rate limit, the ticket
        assert get(tag).status_code == 304


@pytest.mark.django_db(transaction=True)
def test_leaves_the_connection_usable(shared_service, api_key):
    """An answer without a body, of which the client must know that it is over."""
    url = f"{shared_service.url}{PATH}/{TicketFactory(user=api_key.user).pk}"
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {api_key.secret}"
        tag = session.get(url, timeout=30).headers["ETag"]
        for known, status in ((tag, 304), ('"x"', 200), ("*", 304)):
            answer = session.get(url, headers={"If-None-Match": known}, timeout=30)
            assert (answer.status_code, answer.headers["ETag"]) == (status, tag)
            assert "X-RateLimit-Remaining" in answer.headers
        assert "Content-Length" not in answer.headers
