"""A row keeps the id of the request that stored it.

A constant default: no table is rewritten, and the previous release goes on inserting without it.
"""

from django.db import migrations, models

import ctxfy_support.log_context


class Migration(migrations.Migration):
    dependencies = [
        ("support", "0016_fetchers"),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="stored_by_request",
            field=models.CharField(
                blank=True,
                db_default="",
                default=ctxfy_support.log_context.get_request_id,
                editable=False,
                max_length=32,
            ),
        ),
        migrations.AddField(
            model_name="ticket",
            name="stored_by_request",
            field=models.CharField(
                blank=True,
                db_default="",
                default=ctxfy_support.log_context.get_request_id,
                editable=False,
                max_length=32,
            ),
        ),
    ]
