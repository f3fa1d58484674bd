"""Answers become messages of a thread that has both directions, in the table that they are in.

The previous release goes on reading and writing its answers there: what is new has a default in the
database, and no column changes its name.
"""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import ctxfy_support.ids

EVENT_KINDS = [
    ("state", "State"),
    ("assignee", "Assignee"),
    ("priority", "Priority"),
    ("tags", "Tags"),
    ("claim", "Claim"),
    ("note", "Note"),
    ("reply", "Reply"),
    ("resend", "Resend"),
    ("export", "Export"),
    ("failure", "Failure"),
    ("revoke", "Revoke"),
    ("message", "Message"),
    ("bounce", "Bounce"),
    ("automatic", "Automatic"),
]
WAYS = [("sendgrid", "Sendgrid"), ("imap", "Imap")]
OUTCOMES = [
    ("stored", "Stored"),
    ("unmatched", "Unmatched"),
    ("ignored", "Ignored"),
    ("discarded", "Discarded"),
]


def an_empty_list():
    return models.JSONField(
        db_default=models.Value([], models.JSONField()), default=list, editable=False
    )


class Migration(migrations.Migration):
    dependencies = [
        ("support", "0012_request_id_search"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RenameModel("Reply", "Message"),
        migrations.AlterModelOptions("message", options={"ordering": ["created_at", "id"]}),
        migrations.AlterField(
            model_name="ticketevent",
            name="reply",
            field=models.ForeignKey(
                db_column="reply_id",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="support.message",
            ),
        ),
        migrations.RenameField("ticketevent", "reply", "message"),
        migrations.AlterField(
            model_name="ticketevent",
            name="kind",
            field=models.CharField(choices=EVENT_KINDS, max_length=10),
        ),
        migrations.AddField(
            model_name="message",
            name="via",
            field=models.CharField(
                choices=[("api", "API"), ("mail", "mail"), ("back-office", "back-office")],
                db_default="back-office",
                default="back-office",
                editable=False,
                max_length=11,
            ),
        ),
        migrations.AddField(
            model_name="message",
            name="sender",
            field=models.CharField(blank=True, db_default="", editable=False, max_length=320),
        ),
        migrations.AddField(
            model_name="message",
            name="quoted",
            field=models.TextField(blank=True, db_default="", editable=False),
        ),
        migrations.AddField(model_name="message", name="attachments", field=an_empty_list()),
        migrations.AddField(
            model_name="message",
            name="idempotency_key",
            field=models.CharField(editable=False, max_length=255, null=True),
        ),
        migrations.AddField(
            model_name="message",
            name="content_digest",
            field=models.CharField(blank=True, db_default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="message",
            name="delivered_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.CreateModel(
            name="InboundMail",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=ctxfy_support.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "received_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("way", models.CharField(choices=WAYS, editable=False, max_length=10)),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("outcome", models.CharField(choices=OUTCOMES, editable=False, max_length=10)),
                ("reason", models.CharField(blank=True, editable=False, max_length=200)),
                ("sender", models.CharField(blank=True, editable=False, max_length=320)),
                ("recipient", models.CharField(blank=True, editable=False, max_length=320)),
                ("subject", models.CharField(blank=True, editable=False, max_length=500)),
                ("text", models.TextField(blank=True, editable=False)),
                ("quoted", models.TextField(blank=True, editable=False)),
                ("attachments", an_empty_list()),
                ("raw", models.TextField(blank=True, editable=False)),
                ("settled_at", models.DateTimeField(editable=False, null=True)),
                (
                    "settled_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "ticket",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="inbound_mails",
                        to="support.ticket",
                    ),
                ),
                (
                    "message",
                    models.OneToOneField(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="support.message",
                    ),
                ),
            ],
            options={"db_table": "support_inbound_mails", "ordering": ["-received_at", "-id"]},
        ),
        migrations.AddIndex(
            model_name="inboundmail",
            index=models.Index(fields=["ticket", "received_at"], name="support_inbound_mails_of"),
        ),
        migrations.AddIndex(
            model_name="inboundmail",
            index=models.Index(
                condition=models.Q(("outcome", "unmatched")),
                fields=["received_at", "id"],
                name="support_inbound_mails_waiting",
            ),
        ),
    ]
