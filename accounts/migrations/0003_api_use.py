"""When a key was last used, and the table that the rate limit counts in."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def keep_out_of_the_log(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE accounts_requestcount SET UNLOGGED")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_plans")]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="last_used_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.CreateModel(
            name="RequestCount",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "resets_at",
                    models.FloatField(help_text="Unix seconds, by the database's clock"),
                ),
                ("requests", models.PositiveIntegerField()),
            ],
        ),
        migrations.RunPython(keep_out_of_the_log, migrations.RunPython.noop),
    ]
