"""What `make mutants` loads into pytest: no tests that start processes, a database at no cost.

The first session makes the test database and keeps a copy; every fork begins with that copy
instead of the migrations, which take longer than its tests.
"""

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from django.db import connection

DIRECTORY = Path(os.environ["MUTANTS_DIRECTORY"])
TEMPLATE = DIRECTORY / "template.sqlite3"
ROWS = DIRECTORY / "rows.json"
# A process would import the code as it stands in the copy: it knows of no mutant.
FIXTURES_OF_PROCESSES = {"process_env", "open_page"}


def pytest_configure(config):
    # Later than pytest-django, so that this fixture hides its.
    config.pluginmanager.register(CopiedDatabase())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    # mutmut names each test by its id, and pytest finds none with two backslashes.
    left_out = [
        item
        for item in items
        if FIXTURES_OF_PROCESSES & set(item.fixturenames) or "\\\\" in item.nodeid
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


class CopiedDatabase:
    @pytest.fixture(scope="session")
    @staticmethod
    def django_db_setup(django_test_environment, django_db_blocker):
        name = connection.settings_dict["NAME"]
        with django_db_blocker.unblock(), tempfile.TemporaryDirectory() as directory:
            if not TEMPLATE.exists():
                make_template(f"{directory}/first.sqlite3")
            copy = Path(shutil.copy(TEMPLATE, directory))
            connection.close()
            connection.settings_dict["NAME"] = str(copy)
            # What TestCase(serialized_rollback=True) puts back.
            connection._test_serialized_contents = ROWS.read_text()
            yield
            connection.close()
            connection.settings_dict["NAME"] = name


def make_template(path):
    connection.settings_dict["TEST"]["NAME"] = path
    connection.creation.create_test_db(verbosity=0, serialize=True)
    ROWS.write_text(connection._test_serialized_contents)
    connection.close()
    with sqlite3.connect(path) as database:
        database.execute("VACUUM INTO ?", [str(TEMPLATE)])
    database.close()
