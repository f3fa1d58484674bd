"""Every Content-Security-Policy of the service: what a browser may load and run from each part.

Nothing that this service does not serve itself, and no script that stands within a page.
"""

from ctxfy_support.envelope import is_api

# JSON is for programs; a browser that shows it all the same has nothing to load.
_DATA = ("default-src 'none'", "frame-ancestors 'none'")
_PAGE = (
    *_DATA,
    "base-uri 'none'",
    "connect-src 'self'",
    "font-src 'self'",
    "img-src 'self' data:",
)
API = "; ".join(_DATA)
DATA_PATHS = {"/openapi.json", "/postman.json", "/docs.md", "/llms.txt"}
DOCS = "; ".join((*_PAGE, "form-action 'none'", "script-src 'self'", "style-src 'self'"))
# Unfold's Alpine evaluates expressions that its templates hold in attributes ('unsafe-eval') and
# writes style attributes ('unsafe-inline').
BACK_OFFICE = "; ".join(
    (
        *_PAGE,
        "form-action 'self'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
    )
)


def is_back_office(path: str) -> bool:
    """Whether a path belongs to the back-office."""
    return path.startswith("/admin/")


def find_policy(path: str) -> str:
    """The policy of what is answered under this path; empty where there is none."""
    if is_api(path):
        return API
    if is_back_office(path):
        return BACK_OFFICE
    if path in DATA_PATHS:
        return API
    return DOCS if path == "/docs" else ""
