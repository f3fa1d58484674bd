"""A new SECRET_KEY, with the former one among SECRET_KEY_FALLBACKS, logs nobody out."""

import pytest

from accounts.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
FORMER = "former-one-and-long-enough-for-the-deployment-checks-of-django"
NEXT = "next-one-and-long-enough-for-the-deployment-checks-of-django-too"


@pytest.fixture
def logged_in(client, settings):
    settings.SECRET_KEY = FORMER
    agent = UserFactory(username="bea", is_staff=True, is_superuser=True)
    agent.set_password("made-up-for-this-test")
    agent.save()
    page = {"username": "bea", "password": "made-up-for-this-test"}
    assert client.post("/admin/login/?next=/admin/", page).status_code == 302
    assert client.get("/admin/").status_code == 200
    return client


def test_keeps_agents_logged_in(logged_in, settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEXT, [FORMER]
    assert logged_in.get("/admin/").status_code == 200
    # Whoever came by meanwhile needs the former one no more.
    settings.SECRET_KEY_FALLBACKS = []
    assert logged_in.get("/admin/").status_code == 200


def test_logs_agents_out_where_the_former_key_is_not_kept(logged_in, settings):
    settings.SECRET_KEY = NEXT
    assert logged_in.get("/admin/").status_code == 302
