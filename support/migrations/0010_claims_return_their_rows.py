"""A claim returns the rows that it leased, so nothing looks for them by their token.

Without this index a claim changes no indexed column: it writes a new version of the row beside the
old one and no index at all.
"""

from importlib import import_module

from django.db import migrations

# Each drops without a lock that a request could feel.
concurrently = import_module("support.migrations.0009_indexes_for_cheap_marks")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("support", "0009_indexes_for_cheap_marks")]

    operations = [
        concurrently.RemoveIndex(model_name="reply", name="support_replies_lease"),
        concurrently.RemoveIndex(model_name="ticket", name="support_tickets_lease"),
    ]
