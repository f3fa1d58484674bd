"""A ticket's thread in its order, and one message for each Idempotency-Key; beside what runs."""

import django.db.models.deletion
from django.db import migrations, models

THREAD = models.Index(fields=["ticket", "created_at", "id"], name="support_replies_thread")
ONE_FOR_EACH_KEY = models.UniqueConstraint(
    condition=models.Q(("idempotency_key__isnull", False)),
    fields=("ticket", "idempotency_key"),
    name="support_replies_idempotency_key",
)


class AddIndex(migrations.AddIndex):
    """Built while the table is in use on PostgreSQL; what a build that broke off left goes first."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.add_index(model, self.index, concurrently=True)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")


class AddUniqueConstraint(migrations.AddConstraint):
    """The same, for on PostgreSQL a constraint with a condition is a unique index and no more."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.constraint.name}")
        sql = str(self.constraint.create_sql(model, schema_editor))
        schema_editor.execute(sql.replace("UNIQUE INDEX", "UNIQUE INDEX CONCURRENTLY", 1))

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.constraint.name}")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("support", "0013_thread")]

    operations = [
        AddIndex(model_name="message", index=THREAD),
        AddUniqueConstraint(model_name="message", constraint=ONE_FOR_EACH_KEY),
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
