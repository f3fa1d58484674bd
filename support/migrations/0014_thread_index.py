"""A ticket's thread in its order, and one message for each Idempotency-Key; beside what runs."""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

# Each builds without a lock that a request could feel.
concurrently = import_module("support.migrations.0009_indexes_for_cheap_marks")

THREAD = models.Index(fields=["ticket", "created_at", "id"], name="support_replies_thread")
ONE_FOR_EACH_KEY = models.UniqueConstraint(
    condition=models.Q(("idempotency_key__isnull", False)),
    fields=("ticket", "idempotency_key"),
    name="support_replies_idempotency_key",
)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("support", "0013_thread")]

    operations = [
        concurrently.AddIndex(model_name="message", index=THREAD),
        concurrently.AddConstraint(model_name="message", constraint=ONE_FOR_EACH_KEY),
        # The thread's index begins with the ticket, so the foreign key needs none of its own.
        migrations.AlterField(
            model_name="message",
            name="ticket",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="messages",
                to="support.ticket",
            ),
        ),
    ]
