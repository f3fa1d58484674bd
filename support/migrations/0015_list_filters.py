"""An account's list is filtered within its index, instead of row by row.

The wider index is built beside the other and takes its place and its name; the previous release
reads either.
"""

from importlib import import_module

from django.db import migrations, models

# Each builds or drops without a lock that a request could feel.
concurrently = import_module("support.migrations.0009_indexes_for_cheap_marks")

NAME = "support_tickets_of_account"
FIELDS = ["user", "created_at", "id", "state", "email_status", "type", "updated_at"]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("support", "0014_thread_index")]

    operations = [
        concurrently.AddIndex(
            model_name="ticket", index=models.Index(fields=FIELDS, name=f"{NAME}_new")
        ),
        concurrently.RemoveIndex(model_name="ticket", name=NAME),
        migrations.RenameIndex(model_name="ticket", new_name=NAME, old_name=f"{NAME}_new"),
    ]
