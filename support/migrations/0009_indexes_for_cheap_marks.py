"""Fewer entries for a POST and for the mark of its mail to write.

The new indexes are built before the old ones go, neither with a lock that a request could feel, so
the previous release goes on meanwhile; a build that broke off is begun again.
"""

from django.conf import settings
from django.db import migrations, models


def is_postgresql(schema_editor):
    return schema_editor.connection.vendor == "postgresql"


class AddIndex(migrations.AddIndex):
    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if not is_postgresql(schema_editor):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        # A broken build leaves an index that is written and never read.
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
        schema_editor.add_index(model, self.index, concurrently=True)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if not is_postgresql(schema_editor):
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")


class RemoveIndex(migrations.RemoveIndex):
    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if not is_postgresql(schema_editor):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.name}")

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if not is_postgresql(schema_editor):
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        state = to_state.models[app_label, self.model_name_lower]
        index = state.get_index_by_name(self.name)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.name}")
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.add_index(model, index, concurrently=True)


class AddConstraint(migrations.AddConstraint):
    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if not is_postgresql(schema_editor):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.constraint.name}")
        create = str(self.constraint.create_sql(model, schema_editor))
        schema_editor.execute(create.replace("UNIQUE INDEX", "UNIQUE INDEX CONCURRENTLY", 1))

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if not is_postgresql(schema_editor):
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.constraint.name}")


def set_fillfactor(sql):
    """Room in each page for the new version that a claim makes of a row, beside the old one.

    Of rows that are there already nothing is moved.
    """

    def run(apps, schema_editor):
        if is_postgresql(schema_editor):
            for table in ("support_tickets", "support_replies"):
                schema_editor.execute(f"ALTER TABLE {table} {sql}")

    return run


class Migration(migrations.Migration):
    # An index cannot be built beside other work within a transaction.
    atomic = False

    dependencies = [
        ("support", "0008_senders"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddIndex(
            model_name="ticket",
            index=models.Index(
                fields=["user", "created_at", "id"], name="support_tickets_of_account"
            ),
        ),
        AddIndex(
            model_name="ticket",
            index=models.Index(fields=["created_at", "id"], name="support_tickets_by_time"),
        ),
        AddIndex(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("solved_at__isnull", True)),
                fields=[
                    "-priority",
                    "created_at",
                    "id",
                    "assignee",
                    "state",
                    "type",
                    "subscription_plan",
                ],
                name="support_tickets_unsolved",
            ),
        ),
        AddIndex(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("solved_at__isnull", False)),
                fields=["state", "created_at", "id"],
                name="support_tickets_solved_state",
            ),
        ),
        AddIndex(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("solved_at__isnull", False)),
                fields=["type", "created_at", "id"],
                name="support_tickets_solved_type",
            ),
        ),
        AddIndex(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("solved_at__isnull", False)),
                fields=["subscription_plan", "created_at", "id"],
                name="support_tickets_solved_plan",
            ),
        ),
        AddIndex(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("solved_at__isnull", False)),
                fields=["priority", "created_at", "id"],
                name="support_tickets_solved_prio",
            ),
        ),
        AddIndex(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("solved_at__isnull", False)),
                fields=[
                    "assignee",
                    "created_at",
                    "id",
                    "state",
                    "priority",
                    "type",
                    "subscription_plan",
                ],
                name="support_tickets_solved_by",
            ),
        ),
        AddIndex(
            model_name="ticket",
            index=models.Index(
                condition=models.Q(("assignee__isnull", False), ("solved_at__isnull", True)),
                fields=["assignee", "-priority", "created_at", "id"],
                name="support_tickets_mine",
            ),
        ),
        AddConstraint(
            model_name="ticket",
            constraint=models.UniqueConstraint(
                condition=models.Q(("idempotency_key__isnull", False)),
                fields=("user", "idempotency_key"),
                name="support_tickets_idempotency_key",
            ),
        ),
        RemoveIndex(
            model_name="ticket",
            name="support_tickets_of_user",
        ),
        RemoveIndex(
            model_name="ticket",
            name="support_tickets_newest",
        ),
        RemoveIndex(
            model_name="ticket",
            name="support_tickets_queue",
        ),
        RemoveIndex(
            model_name="ticket",
            name="support_tickets_open_types",
        ),
        RemoveIndex(
            model_name="ticket",
            name="support_tickets_by_state",
        ),
        RemoveIndex(
            model_name="ticket",
            name="support_tickets_by_type",
        ),
        RemoveIndex(
            model_name="ticket",
            name="support_tickets_by_plan",
        ),
        RemoveIndex(
            model_name="ticket",
            name="support_tickets_by_priority",
        ),
        RemoveIndex(
            model_name="ticket",
            name="support_tickets_by_assignee",
        ),
        migrations.RemoveConstraint(
            model_name="ticket",
            name="support_tickets_idempotency",
        ),
        migrations.RunPython(
            set_fillfactor("SET (fillfactor = 85)"), set_fillfactor("RESET (fillfactor)")
        ),
    ]
