"""Fixtures of every app's tests: the fake mail providers and the real service as a process."""

import contextlib
import gc
import signal

import pytest
from django.apps import apps
from django.db import connection, transaction

from accounts.password_attempts import attempt_limit, hashing
from accounts.tests.factories import UserFactory
from accounts.wrong_keys import wrong_keys
from ctxfy_support.metrics import counters
from ctxfy_support.tests.browser import Browser
from ctxfy_support.tests.processes import ServiceProcess, database_url
from ctxfy_support.tests.scripted_smtp_server import ScriptedSMTPServer
from ctxfy_support.tests.sendgrid_server import SendGridServer
from ctxfy_support.tests.smtp_server import SMTPServer
from support.delivery.breaker import breaker
from support.delivery.transport import pool

# Their tests share a server or a browser: one process runs all tests of such a module.
TOGETHER = (
    "test_back_office_in_browser.py",
    "test_database_away.py",
    "test_documented_samples.py",
    "test_generated_clients.py",
    "test_published_clients.py",
    "test_reference_page.py",
)
# These take long, and begin first: nobody is left alone with them at the end.
LONG = (
    "test_fetch_kills.py",
    "test_fetch_watch.py",
    "test_fuzzed_mail.py",
    "test_kills.py",
    "test_schemathesis.py",
    "test_watch.py",
)
# These ask no database anything that depends on which it is: the run on SQLite has them.
ON_SQLITE_ALONE = (
    "test_image.py",
    "test_monitoring_files.py",
    "test_proxies.py",
    "test_sbom.py",
    "test_units.py",
)
# Where the session keeps the rows that migrations have made.
MIGRATED = pytest.StashKey()


def pytest_configure():
    # A run that is told to end still stops the servers and processes it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def empties_tables(item):
    marker = item.get_closest_marker("django_db")
    return "transactional_db" in item.fixturenames or bool(
        marker and marker.kwargs.get("transaction")
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if connection.vendor != "sqlite":
        elsewhere = [item for item in items if item.path.name in ON_SQLITE_ALONE]
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]
    for item in items:
        marker = item.get_closest_marker("django_db")
        if marker and marker.kwargs.get("transaction"):
            restored = pytest.mark.django_db(**marker.kwargs | {"serialized_rollback": True})
            item.add_marker(restored, append=False)
    items.sort(key=lambda item: item.path.name not in {*TOGETHER, *LONG})


def pytest_collection_finish():
    # The modules, the tests and their parameters stay to the end: a sixth of the time went into
    # looking for garbage among them.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Any test may run in any process, except that the modules of TOGETHER stay whole."""
    from xdist.scheduler import LoadScopeScheduling  # Not there where nobody has asked for it.

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            module = nodeid.partition("::")[0]
            return module if module.endswith(TOGETHER) else nodeid

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker, request):
    """Keep the migrations' rows (plans, roles), which go when a test empties the tables."""
    with django_db_blocker.unblock():
        tables = [m._default_manager for m in apps.get_models(include_auto_created=True)]
        rows = [(table, list(table.all())) for table in tables if table.model._meta.managed]
    request.config.stash[MIGRATED] = (django_db_blocker, rows)
    # Django would give them back itself, one by one and only before a test that asks for it. As an
    # empty list they cost nothing there, and still keep `flush` from making permissions anew.
    connection._test_serialized_contents = "[]"  # noqa: SLF001


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """Give the migrations' rows back to whatever test is next, in any order of the tests."""
    try:
        return (yield)
    finally:
        if nextitem and empties_tables(item) and MIGRATED in item.config.stash:
            blocker, rows = item.config.stash[MIGRATED]
            with blocker.unblock(), transaction.atomic():
                for table, instances in rows:
                    # A test that was skipped has emptied nothing.
                    table.bulk_create(instances, ignore_conflicts=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix, tmp_path_factory):
    """Keep SQLite's test database in a file, which the service's process can open too."""
    if connection.vendor == "sqlite":
        path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        connection.settings_dict["TEST"]["NAME"] = str(path)


def forget(memory):
    """Give a process's memory (the breaker, useless keys, counters) its first state again."""
    memory.__init__()


@pytest.fixture(autouse=True)
def fresh_process():
    """Each test starts as a process does: no connection kept, nothing counted or known."""
    yield
    pool.close()
    for memory in (breaker, wrong_keys, attempt_limit, hashing, counters):
        forget(memory)


@pytest.fixture
def admin_user(db):
    """pytest-django's, without the third of a second that it takes to hash a password."""
    return UserFactory(username="admin", is_staff=True, is_superuser=True)


@pytest.fixture
def smtp_server():
    with SMTPServer() as server:
        yield server


@pytest.fixture
def scripted_smtp_server():
    with ScriptedSMTPServer() as server:
        yield server


@pytest.fixture
def sendgrid_server():
    with SendGridServer() as server:
        yield server


@pytest.fixture
def process_env(transactional_db, django_db_serialized_rollback):
    """The environment of a process that shares this test's database."""
    return {"DATABASE_URL": database_url(connection.settings_dict)}


@pytest.fixture
def service(process_env):
    """Start the service on the test database: `service(SUPPORT_EMAIL="…")`, ended with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **env: stack.enter_context(ServiceProcess(env=process_env | env))


@pytest.fixture(scope="module")
def module_service(django_db_setup, django_db_blocker):
    """The service on the test database, started once for a module."""
    with django_db_blocker.unblock():
        env = {"DATABASE_URL": database_url(connection.settings_dict)}
    with ServiceProcess(env=env) as service:
        yield service


@pytest.fixture
def shared_service(process_env, module_service):
    """The service without any setting, for tests that leave it as it was."""
    return module_service


@pytest.fixture(scope="session")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def open_page(browser, monkeypatch):
    """`open_page(url, theme="dark", width=375)`: a page in Chromium (browser.py).

    What its console reports, an exception and a request to any other host fail the test.
    """
    # The test itself is not within Playwright's event loop and may use the database.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with browser.running() as complaints:
        yield browser.open
    if complaints:
        pytest.fail("\n".join(complaints))
