from django.db import migrations

# A stored column, not an index on an expression: whatever plan the server takes, no message is
# parsed again to check a match. Adding it rewrites the table, which is locked meanwhile (about a
# minute for a million tickets).
ADD = """
ALTER TABLE support_tickets ADD COLUMN search_words tsvector GENERATED ALWAYS AS (
    to_tsvector('english', message) || to_tsvector('simple', reply_address)
) STORED;
CREATE INDEX support_tickets_search ON support_tickets USING gin (search_words);
"""
REMOVE = "ALTER TABLE support_tickets DROP COLUMN search_words;"


def run_on_postgresql(sql):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(sql)

    return run


class Migration(migrations.Migration):
    dependencies = [("support", "0002_triage_and_replies")]

    operations = [migrations.RunPython(run_on_postgresql(ADD), run_on_postgresql(REMOVE))]
