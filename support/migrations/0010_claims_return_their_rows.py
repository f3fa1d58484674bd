"""A claim returns the rows that it leased, so nothing looks for them by their token.

Without this index a claim changes no indexed column: it writes a new version of the row beside the
old one and no index at all.
"""

from django.db import migrations


class RemoveIndex(migrations.RemoveIndex):
    """Beside the running release on PostgreSQL."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.name}")

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        index = to_state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.name}")
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.add_index(model, index, concurrently=True)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("support", "0009_indexes_for_cheap_marks")]

    operations = [
        RemoveIndex(model_name="reply", name="support_replies_lease"),
        RemoveIndex(model_name="ticket", name="support_tickets_lease"),
    ]
