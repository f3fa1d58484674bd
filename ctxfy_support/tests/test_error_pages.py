"""Errors that people see: pages of the back-office, whoever looks and whatever went wrong."""

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db

INDEX = reverse("admin:index")


def check(answer, status, words):
    """The answer is a whole page: words, stylesheets, policy, a way back."""
    page = answer.content.decode()
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("text/html")
    assert words in page
    assert "unfold/css/styles.css" in page
    assert "support/back_office.css" in page
    assert f'href="{INDEX}"' in page
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    assert answer["X-Request-Id"] in page
    return page


def crash(*args, **kwargs):
    raise RuntimeError("secret detail")


def test_shows_staff_that_there_is_no_such_page(admin_client):
    page = check(admin_client.get("/admin/nothing/"), 404, "There is no such page")
    assert "nav-sidebar" in page


@pytest.mark.parametrize("client_of", ["client", "admin_client"])
def test_shows_an_old_form(client_of, request):
    known = request.getfixturevalue(client_of)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = known.cookies
    page = check(strict.post("/admin/login/?next=/admin/x/", {}), 403, "This form is too old")
    assert 'href="/admin/login/?next=/admin/x/">Open it again' in page


def test_shows_what_a_role_does_not_open(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("eve", is_staff=True))
    check(client.get(reverse("admin:auth_group_changelist")), 403, "Your role does not allow this")


@pytest.mark.parametrize("client_of", ["client", "admin_client"])
def test_shows_an_address_that_takes_forms_alone(client_of, request):
    client = request.getfixturevalue(client_of)
    answer = (
        client.delete("/admin/login/") if client_of == "client" else client.get("/admin/logout/")
    )
    check(answer, 405, "Nothing is shown at this address")
    assert "POST" in answer["Allow"]


def test_shows_a_strange_host(client):
    check(client.get("/admin/", headers={"Host": "evil.example"}), 400, "makes no sense")


@pytest.mark.parametrize("client_of", ["client", "admin_client"])
def test_shows_a_crash(client_of, request, monkeypatch):
    monkeypatch.setattr("django.contrib.auth.views.LoginView.dispatch", crash)
    monkeypatch.setattr("support.back_office.dashboard.show", crash)
    client = request.getfixturevalue(client_of)
    client.raise_request_exception = False
    path = "/admin/" if client_of == "admin_client" else "/admin/login/"
    page = check(client.get(path), 500, "Something broke on our side")
    assert f'href="{path}"' in page
    assert "secret detail" not in page


@pytest.mark.parametrize("client_of", ["client", "admin_client"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_shows_that_the_database_is_away(client_of, method, request):
    client = request.getfixturevalue(client_of)
    client.raise_request_exception = False

    def fail(*args):
        raise OperationalError("password=hunter2")

    path = "/admin/" if client_of == "admin_client" else "/admin/login/"
    with connection.execute_wrapper(fail):
        answer = getattr(client, method)(path, {"username": "bea", "password": "x"})
    if (client_of, method) == ("client", "get"):
        assert answer.status_code == 200  # The log-in page asks the database nothing.
        return
    page = check(answer, 503, "The database does not answer")
    assert int(answer["Retry-After"]) >= 1
    assert "hunter2" not in page


@pytest.mark.parametrize("path", ["/nothing", "/admin.html"])
def test_is_small_and_plain_elsewhere(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()
    assert len(answer.content) < 600


def test_leads_home_after_a_log_in(client, django_user_model):
    django_user_model.objects.create_user("bea", password="x-x-x-x-x", is_staff=True)
    answer = client.post("/admin/login/", {"username": "bea", "password": "x-x-x-x-x"})
    assert (answer.status_code, answer["Location"]) == (302, INDEX)
    answer = client.get("/admin/login/")
    assert (answer.status_code, answer["Location"]) == (302, INDEX)
