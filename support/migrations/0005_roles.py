from django.conf import settings
from django.db import migrations

TRIAGE = {
    "ticket": ["view", "change", "reply", "export"],
    "cannedreply": ["view"],
    "tag": ["view"],
    "savedview": ["view"],
}
DESK = {name: ["add", "change", "delete"] for name in ("cannedreply", "tag", "savedview")}
ROLES = {"Agents": [TRIAGE], "Supervisors": [TRIAGE, DESK], "Administrators": [TRIAGE, DESK]}


def add_roles(apps, schema_editor):
    alias = schema_editor.connection.alias
    groups, permissions, types = (
        apps.get_model(app, name).objects.using(alias)
        for app, name in (
            ("auth", "Group"),
            ("auth", "Permission"),
            ("contenttypes", "ContentType"),
        )
    )
    for role, parts in ROLES.items():
        group, _ = groups.get_or_create(name=role)
        for model, verbs in ((model, verbs) for part in parts for model, verbs in part.items()):
            # Django creates them after the last migration, which is too late for us.
            content_type, _ = types.get_or_create(app_label="support", model=model)
            for verb in verbs:
                permission, _ = permissions.get_or_create(
                    content_type=content_type,
                    codename=f"{verb}_{model}",
                    defaults={"name": LABELS.get(verb, f"Can {verb} {NAMES[model]}")},
                )
                group.permissions.add(permission)


LABELS = {"reply": "Can answer the customer", "export": "Can export tickets"}
NAMES = {"ticket": "ticket", "cannedreply": "canned reply", "tag": "tag", "savedview": "saved view"}


def take_back(apps, schema_editor):
    """Groups may have members and other permissions by now, so they stay."""
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    ours = permissions.filter(content_type__app_label="support")
    for group in groups.filter(name__in=ROLES):
        group.permissions.remove(*ours)


class Migration(migrations.Migration):
    dependencies = [
        ("support", "0004_solved_at"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [migrations.RunPython(add_roles, take_back)]
