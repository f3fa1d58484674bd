from django.db import migrations
from django.db.models import F


def note_when_solved(apps, schema_editor):
    """What was solved before the column existed: its last change is the best that is known."""
    tickets = apps.get_model("support", "Ticket").objects.using(schema_editor.connection.alias)
    tickets.filter(state__in=["solved", "closed"], solved_at=None).update(solved_at=F("updated_at"))


class Migration(migrations.Migration):
    dependencies = [("support", "0003_search_words")]

    operations = [migrations.RunPython(note_when_solved, migrations.RunPython.noop)]
