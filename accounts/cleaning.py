"""What of accounts nobody needs any more: keys long dead, windows long over, old failed log-ins."""

import time
from collections.abc import Iterator
from datetime import timedelta

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.db.models import Q
from django.utils import timezone

from accounts.models import APIKey, PasswordAttempts, RequestCount
from ctxfy_support.cleaning import delete_in_batches
from ctxfy_support.personal_data import Counts

KEYS_KEPT_FOR = timedelta(days=365)
LOGINS_KEPT_FOR = timedelta(days=30)
# Windows last a minute and a quarter of an hour by the database's clock; ours may be wrong.
WINDOWS_KEPT_FOR = timedelta(hours=1)


def clean() -> Iterator[Counts]:
    """A step of settings.CLEANINGS."""
    dead_since = timezone.now() - KEYS_KEPT_FOR
    # A ticket keeps its key's prefix and name itself. One that leaked stands on tickets' pages.
    dead = Q(revoked_at__lt=dead_since) | Q(expiration_date__lt=dead_since)
    yield from delete_in_batches("keys", APIKey.objects.filter(dead, leaked_at=None))
    over_since = time.time() - WINDOWS_KEPT_FOR.total_seconds()
    for windows in (RequestCount, PasswordAttempts):
        rows = windows._default_manager.filter(resets_at__lt=over_since)
        yield from delete_in_batches("windows", rows)
    tried = timezone.now() - LOGINS_KEPT_FOR
    for log in (AccessAttempt, AccessFailureLog, AccessLog):
        yield from delete_in_batches("logins", log.objects.filter(attempt_time__lt=tried))
