"""The back-office's sidebar: each person sees the pages that their role opens."""

from django.http import HttpRequest
from django.urls import reverse

from support.back_office.mails import LIST as MAILS
from support.back_office.mails import count_waiting
from support.back_office.tabs import TAB_COUNT_LIMIT
from support.templatetags.back_office import up_to

# Rows (title, URL name, icon, permission that opens the page).
WORK = [
    ("Dashboard", "admin:index", "monitoring", "support.view_ticket"),
    ("Tickets", "admin:support_ticket_changelist", "inbox", "support.view_ticket"),
    ("Mail without a ticket", MAILS, "unknown_document", "support.view_ticket"),
]
DESK = [
    (
        "Canned replies",
        "admin:support_cannedreply_changelist",
        "quickreply",
        "support.add_cannedreply",
    ),
    ("Tags", "admin:support_tag_changelist", "sell", "support.add_tag"),
    ("Saved views", "admin:support_savedview_changelist", "bookmarks", "support.add_savedview"),
]
ACCOUNTS = [
    ("Accounts", "admin:accounts_user_changelist", "person", "accounts.view_user"),
    ("Plans", "admin:accounts_plan_changelist", "workspace_premium", "accounts.view_plan"),
    ("API keys", "admin:accounts_apikey_changelist", "key", "accounts.view_apikey"),
    ("Roles", "admin:auth_group_changelist", "shield_person", "auth.view_group"),
    ("Failed logins", "admin:axes_accessattempt_changelist", "lock", "axes.view_accessattempt"),
]


def make_sidebar(request: HttpRequest) -> list[dict[str, object]]:
    """Unfold's SIDEBAR navigation for this person."""
    return [
        {
            "title": title,
            "items": [
                _make_item(request, name, url, icon)
                for name, url, icon, permission in rows
                if request.user.has_perm(permission)
            ],
        }
        for title, rows in (("Support", WORK), ("Desk", DESK), ("Accounts", ACCOUNTS))
    ]


def _make_item(request: HttpRequest, name: str, url: str, icon: str) -> dict[str, object]:
    item: dict[str, object] = {"title": name, "link": reverse(url), "icon": icon}
    mails = reverse(MAILS)
    if url == MAILS:
        # Unfold marks whatever the address begins with, and so the tickets too.
        if count := count_waiting():
            item |= {"badge": up_to(count, TAB_COUNT_LIMIT), "badge_variant": "primary"}
    elif request.path.startswith(mails):
        item["active"] = False
    return item
