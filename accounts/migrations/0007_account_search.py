from django.db import migrations

# What a search for accounts by the beginning of their name or address asks, in any case of
# letters: UPPER(...) LIKE 'X%', which no index in the database's own collation answers.
INDEXES = {"accounts_user_by_name_start": "username", "accounts_user_by_email_start": "email"}


def add(apps, schema_editor):
    """Build them while the table is in use; a build that broke off leaves one to be dropped."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for name, column in INDEXES.items():
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        schema_editor.execute(
            f"CREATE INDEX CONCURRENTLY {name} ON accounts_user"
            f" (UPPER({column}::text) text_pattern_ops)"
        )


def remove(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    for name in INDEXES:
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("accounts", "0006_forget_failed_logins")]

    operations = [migrations.RunPython(add, remove)]
