from django.db import migrations

PLANS = [("free", "Free", 10), ("pro", "Pro", 100), ("enterprise", "Enterprise", 100)]


def add_plans(apps, schema_editor):
    plans = apps.get_model("accounts", "Plan").objects.using(schema_editor.connection.alias)
    for slug, name, requests_per_minute in PLANS:
        plans.get_or_create(
            slug=slug, defaults={"name": name, "requests_per_minute": requests_per_minute}
        )


def remove_unused_plans(apps, schema_editor):
    plans = apps.get_model("accounts", "Plan").objects.using(schema_editor.connection.alias)
    plans.filter(slug__in=[slug for slug, _, _ in PLANS], user=None).delete()


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [migrations.RunPython(add_plans, remove_unused_plans)]
