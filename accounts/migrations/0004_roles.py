from django.db import migrations

WATCH = {("accounts", "user"): ["view"], ("accounts", "apikey"): ["view"]}
PLANS = {("accounts", "plan"): ["view", "add", "change", "delete"]}
EVERYTHING = {
    ("accounts", "user"): ["add", "change", "delete"],
    ("accounts", "apikey"): ["add", "change"],
    ("auth", "group"): ["view", "add", "change", "delete"],
    ("axes", "accessattempt"): ["view", "delete"],
}
# The groups' work on tickets is given by the app that has the tickets.
ROLES = {
    "Agents": [],
    "Supervisors": [WATCH, PLANS],
    "Administrators": [WATCH, PLANS, EVERYTHING],
}
NAMES = {"apikey": "API key", "accessattempt": "access attempt"}


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
        for (app, model), verbs in (item for part in parts for item in part.items()):
            # Django creates them after the last migration, which is too late for us.
            content_type, _ = types.get_or_create(app_label=app, model=model)
            for verb in verbs:
                permission, _ = permissions.get_or_create(
                    content_type=content_type,
                    codename=f"{verb}_{model}",
                    defaults={"name": f"Can {verb} {NAMES.get(model, model)}"},
                )
                group.permissions.add(permission)


def take_back(apps, schema_editor):
    """Groups may have members and other permissions by now, so they stay."""
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    ours = permissions.filter(content_type__app_label__in=["accounts", "auth", "axes"])
    for group in groups.filter(name__in=ROLES):
        group.permissions.remove(*ours)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_api_use"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(add_roles, take_back)]
