from django.db import migrations

# A search for a request's id; only tickets that name any are in the index.
NAME = "support_tickets_request_ids"
ADD = f"""
CREATE INDEX CONCURRENTLY {NAME} ON support_tickets
USING gin (request_ids jsonb_path_ops) WHERE request_ids <> '[]'::jsonb
"""


def add(apps, schema_editor):
    """Build it while the table is in use; a build that broke off leaves one to be dropped."""
    if schema_editor.connection.vendor == "postgresql":
        remove(apps, schema_editor)
        schema_editor.execute(ADD)


def remove(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("support", "0011_evidence")]

    operations = [migrations.RunPython(add, remove)]
