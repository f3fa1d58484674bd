from django.db import migrations


def forget(apps, schema_editor):
    """Rows from before may hold whole API keys; each locks somebody for 15 minutes at most."""
    attempts = apps.get_model("axes", "AccessAttempt").objects
    attempts.using(schema_editor.connection.alias).all().delete()


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_count_password_attempts"),
        ("axes", "0010_accessattemptexpiration"),
    ]

    operations = [migrations.RunPython(forget, migrations.RunPython.noop)]
