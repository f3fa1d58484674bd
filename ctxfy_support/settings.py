"""Every setting, read from the environment (README, "Settings"); the same file serves tests."""

import warnings
from datetime import timedelta
from pathlib import Path

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from django.templatetags.static import static

from ctxfy_support import VERSION, environment
from ctxfy_support.environment_files import read_env_file

BASE_DIR = Path(__file__).resolve().parent.parent

django_stubs_ext.monkeypatch()  # Generic classes take their type at run time too.
read_env_file(BASE_DIR)

# --- Process -------------------------------------------------------------------------------------

DEBUG = environment.boolean("DEBUG", default=False)
SECRET_KEY = environment.secret_key("SECRET_KEY")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("SECRET_KEY: must be set when DEBUG is off")
    SECRET_KEY = get_random_secret_key()
# Former ones: what they have signed still counts.
SECRET_KEY_FALLBACKS = environment.secret_keys("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = environment.names("CSRF_TRUSTED_ORIGINS")
# Where people reach this service: the mail's link to the back-office starts with it.
SITE_URL = environment.http_url("SITE_URL", "http://127.0.0.1:8000").rstrip("/")

ROOT_URLCONF = "ctxfy_support.urls"
WSGI_APPLICATION = "ctxfy_support.wsgi.application"
# Here a header says who is asking, so the answer need not wait for the body, and a stranger's is
# never read. Everything else is answered once it is here: a form's body may be what says who.
PATHS_THAT_READ_BODIES_LATE = ("/v1/", "/anymail/")
# A mail that comes in is posted with all that is attached to it: SendGrid's bound is 30 MB.
PATHS_WITH_LARGE_BODIES = ("/anymail/",)
LARGE_BODY_BYTES = 32 * 1024 * 1024
# Of any other form; form_size.py holds them to it.
FORM_BYTES = 2_621_440
DATA_UPLOAD_MAX_MEMORY_SIZE = LARGE_BODY_BYTES
INSTALLED_APPS = [
    "ctxfy_support",
    "accounts",
    "support",
    "unfold.apps.BasicAppConfig",  # Before the admin, whose templates it replaces.
    "ctxfy_support.admin_site.BackOfficeConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "anymail",
    "axes",
]
# What every answer passes, whoever makes it; then one of the two doors.
MIDDLEWARE = [
    "ctxfy_support.request_id.RequestIdMiddleware",
    "ctxfy_support.security_headers.SecurityHeadersMiddleware",
    "ctxfy_support.metrics.MetricsMiddleware",
    "ctxfy_support.probes.ProbeMiddleware",
    "ctxfy_support.envelope.ErrorEnvelopeMiddleware",
    "ctxfy_support.transport_security.TransportSecurityMiddleware",
    "ctxfy_support.front_doors.APIDoor",
    # The back-office, the reference and files; /v1/ never comes here.
    "ctxfy_support.error_pages.ErrorPageMiddleware",
    "ctxfy_support.form_size.FormSizeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "ctxfy_support.static_files.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "accounts.password_attempts.PasswordAttemptsMiddleware",
]
# What a request under /v1/ passes behind its door.
API_MIDDLEWARE = ["accounts.middleware.AccountMiddleware"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "ctxfy_support.static_files.StaticFilesStorage"},
}
# Without `collectstatic` files are served from where they are, and there is no such directory.
WHITENOISE_USE_FINDERS = not (STATIC_ROOT / "staticfiles.json").is_file()
warnings.filterwarnings("ignore", "No directory at", UserWarning)

# --- Database ------------------------------------------------------------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": environment.database("DATABASE_URL", "sqlite:///db.sqlite3", BASE_DIR)
    | {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Without the turns and these three, writers that meet answer "database is locked". FULL: a
    # committed ticket survives a power cut.
    DATABASES["default"]["ENGINE"] = "ctxfy_support.sqlite"
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 10,  # seconds for the lock; the web process has less (waits.py)
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    DATABASES["default"]["ENGINE"] = "ctxfy_support.postgresql"
    DATABASES["default"]["OPTIONS"] = {
        **DATABASES["default"].get("OPTIONS", {}),
        "connect_timeout": 2,
        "tcp_user_timeout": 2_000,
        "prepare_threshold": 5,
        "server_side_binding": True,
    }
    # Unset, each kind of process has its own (limit_statements): no request may hang, a migration
    # may take hours. 0 is no limit.
    if environment.is_set("DATABASE_STATEMENT_TIMEOUT_MS"):
        DATABASES["default"]["OPTIONS"]["statement_timeout_ms"] = environment.whole_number(
            "DATABASE_STATEMENT_TIMEOUT_MS", 0, minimum=0, maximum=3_600_000
        )

# --- Accounts and the API ------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# How a key of ours is told from other text; the apps know each other by settings alone.
API_KEY_FORMAT = "accounts.api_keys"
API_KEY_MODEL = "accounts.APIKey"
# Secrets that somebody pastes into a ticket are masked before it is stored.
REDACT_SECRETS = environment.boolean("REDACT_SECRETS", default=True)
# Where the log lines of a request are that a ticket names; {request_id} stands for its id.
REQUEST_LOG_URL = environment.http_url_template("REQUEST_LOG_URL", "{request_id}")
# Days after which solved tickets are deleted (clean_up, delete_old_tickets); 0: never.
TICKET_RETENTION_DAYS = environment.whole_number(
    "TICKET_RETENTION_DAYS", 0, minimum=0, maximum=36_500
)
# What the apps hold about a person, and the steps of its end, in this order.
EXPORTS = ["accounts.personal_data.export", "support.personal_data.export"]
ERASURES = [
    "accounts.personal_data.close",
    "support.erasure.erase",
    "accounts.personal_data.erase",
]
# What is deleted every day, by `clean_up`.
CLEANINGS = [
    "support.cleaning.clean",
    "accounts.cleaning.clean",
    "ctxfy_support.cleaning.clean_sessions",
]
# A body of 20,000 characters fits even when every one is escaped as a surrogate pair.
MAX_BODY_BYTES = 256 * 1024
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.APIKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.throttling.PlanThrottle"],
    "DEFAULT_PARSER_CLASSES": ["ctxfy_support.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "ctxfy_support.negotiation.JSONNegotiation",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "ctxfy_support.openapi.PageSchema",
    "EXCEPTION_HANDLER": "ctxfy_support.envelope.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Ctxfy Support API",
    "VERSION": VERSION,
    # Every file of a generated client repeats these; the guide is at /docs.
    "DESCRIPTION": "Open support tickets and follow them. The guide is at /docs.",
    "CONTACT": {"name": "Ctxfy support"},
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "OAS_VERSION": "3.1.0",
    "COMPONENT_SPLIT_PATCH": False,
    "TAGS": [
        {
            "name": "Support tickets",
            "description": "Tell us what went wrong, and see what became of it.",
        },
        {"name": "API keys", "description": "Issue, list and revoke the keys of your account."},
        {
            "name": "Operations",
            "description": "For load balancers; no key needed.",
        },
    ],
    "POSTPROCESSING_HOOKS": [
        "support.api.schema.add_notes",
        "ctxfy_support.openapi.add_what_all_share",
    ],
}
# What the apps add to the errors of the document and to the figures of its guide.
API_ERRORS = ["accounts.schema.add_errors", "support.api.schema.add_errors"]
GUIDE_FACTS = ["accounts.schema.GUIDE_FACTS", "support.api.schema.GUIDE_FACTS"]

# --- Back-office ---------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "Ctxfy support",
    "SITE_HEADER": "Ctxfy support",
    "SITE_SYMBOL": "support_agent",
    "SITE_URL": None,
    "SHOW_BACK_BUTTON": False,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("support/icon.svg")}
    ],
    "STYLES": [lambda request: static("support/back_office.css")],
    "SCRIPTS": [lambda request: static("support/back_office.js")],
    "SIDEBAR": {"navigation": "support.back_office.navigation.make_sidebar"},
    "DASHBOARD_CALLBACK": "support.back_office.dashboard.show",
    "COLORS": {
        "primary": {
            "50": "#eef2ff",
            "100": "#e0e7ff",
            "200": "#c7d2fe",
            "300": "#a5b4fc",
            "400": "#a5b4fc",
            "500": "#8b9bfa",
            "600": "#4338ca",
            "700": "#3730a3",
            "800": "#312e81",
            "900": "#272566",
            "950": "#1e1b4b",
        },
    },
}

CSRF_FAILURE_VIEW = "ctxfy_support.error_pages.show_csrf_failure"
# Where a log-in leads that was asked for by no page.
LOGIN_REDIRECT_URL = "admin:index"

# Five wrong passwords lock that name from that network for 15 minutes: neither the name elsewhere
# nor the others behind the office's address. Only log-in pages ask; API keys never do.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
# Otherwise a guesser who goes on would keep the name locked for ever.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "accounts.login_lockout.find_address"
AXES_USERNAME_CALLABLE = "accounts.login_lockout.find_name"
AXES_HANDLER = "accounts.login_lockout.LockoutHandler"
AXES_LOCKOUT_CALLABLE = "accounts.login_lockout.answer_locked_name"
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address"]  # In its log lines.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False  # accounts/admin.py shows them in the back-office's look.
AXES_VERBOSE = False

# --- Monitoring ----------------------------------------------------------------------------------

# What the apps add to /health and /metrics; the project's own modules know no app.
HEALTH_CHECKS = {
    "mail": "support.delivery.monitoring.check_mail",
    "workers": "support.delivery.monitoring.check_workers",
    "inbox": "support.inbox.fetch_monitoring.check_inbox",
}
HEALTH_SCHEMAS = {
    "mail": "support.delivery.monitoring.MAIL_SCHEMA",
    "workers": "support.delivery.monitoring.WORKERS_SCHEMA",
    "inbox": "support.inbox.fetch_monitoring.INBOX_SCHEMA",
}
# What a scraper of /metrics must know; empty: nothing.
METRICS_TOKEN = environment.credential("METRICS_TOKEN")
METRICS = [
    "support.delivery.monitoring.collect",
    "support.inbox.fetch_monitoring.collect",
    "support.inbox.monitoring.collect",
]
COUNTERS = {
    "support_tickets_total": "Tickets stored, by type.",
    "support_mail_attempts_total": "Attempts to send a mail, by outcome and failure class.",
    "support_inbound_mails_total": "Mails that came in, by way and outcome.",
}

# What `manage.py doctor` asks, and with --send. Each finds within DOCTOR_SECONDS.
DOCTOR_CHECKS = {
    "settings": "ctxfy_support.doctor.surroundings.check_settings",
    "site": "ctxfy_support.doctor.surroundings.check_site",
    "database": "ctxfy_support.doctor.database.check_database",
    "clock": "ctxfy_support.doctor.database.check_clock",
    "disk": "ctxfy_support.doctor.surroundings.check_disk",
    "mail": "support.delivery.diagnosis.check_channel",
    "workers": "support.delivery.diagnosis.check_senders",
    "queue": "support.delivery.diagnosis.check_queue",
    "inbound": "support.inbox.diagnosis.check_ways_in",
}
DOCTOR_SEND_CHECKS = {"test mail": "support.delivery.diagnosis.send_test_mail"}

# --- Mail ----------------------------------------------------------------------------------------

SUPPORT_EMAIL = environment.email_address("SUPPORT_EMAIL")
SUPPORT_EMAIL_FROM = environment.email_address("SUPPORT_EMAIL_FROM", SUPPORT_EMAIL)
# Receives what customers answer, at an address for each ticket: `+` and 42 characters, of the 64
# that may stand before the @.
SUPPORT_EMAIL_REPLIES = environment.email_address("SUPPORT_EMAIL_REPLIES", longest_local_part=21)
SUPPORT_EMAIL_SENDER = environment.choice(
    "SUPPORT_EMAIL_SENDER", "sendgrid", ("sendgrid", "google", "console")
)
SUPPORT_EMAIL_DELIVERY = environment.choice(
    "SUPPORT_EMAIL_DELIVERY", "inline", ("inline", "background", "paused")
)
SUPPORT_EMAIL_DEADLINE = environment.number("SUPPORT_EMAIL_DEADLINE", 5, minimum=0.1, maximum=300)
# The longest wait of a check: an attempt and the patience with a log-in.
DOCTOR_SECONDS = SUPPORT_EMAIL_DEADLINE + 30

EMAIL_BACKEND = {
    "sendgrid": "support.delivery.email_backends.SendGridBackend",
    "google": "support.delivery.email_backends.SMTPBackend",
    "console": "django.core.mail.backends.console.EmailBackend",
}[SUPPORT_EMAIL_SENDER]
EMAIL_TIMEOUT = SUPPORT_EMAIL_DEADLINE
EMAIL_USE_LOCALTIME = False

# With it they must be signed, too.
webhook_key = environment.public_key("SENDGRID_WEBHOOK_VERIFICATION_KEY")
ANYMAIL = {
    "SENDGRID_API_KEY": environment.credential("SENDGRID_API_KEY"),
    "SENDGRID_API_URL": environment.http_url("SENDGRID_API_URL", "https://api.sendgrid.com/v3/"),
    "REQUESTS_TIMEOUT": SUPPORT_EMAIL_DEADLINE,
    # What SendGrid's webhooks must send; empty: there are none.
    "WEBHOOK_SECRET": environment.name_and_password("ANYMAIL_WEBHOOK_SECRET"),
    "SENDGRID_INBOUND_WEBHOOK_VERIFICATION_KEY": webhook_key,
    "SENDGRID_TRACKING_WEBHOOK_VERIFICATION_KEY": webhook_key,
}

EMAIL_HOST = environment.parse("GOOGLE_SMTP_HOST", "smtp.gmail.com", str) or "smtp.gmail.com"
EMAIL_PORT = environment.whole_number("GOOGLE_SMTP_PORT", 587, minimum=1, maximum=65_535)
EMAIL_HOST_USER = environment.credential("GOOGLE_SMTP_USER")
EMAIL_HOST_PASSWORD = environment.credential("GOOGLE_SMTP_PASSWORD")
smtp_security = environment.choice("GOOGLE_SMTP_SECURITY", "starttls", ("starttls", "tls", "none"))
EMAIL_USE_TLS = smtp_security == "starttls"
EMAIL_USE_SSL = smtp_security == "tls"

# The mailbox behind SUPPORT_EMAIL_REPLIES, where no webhook brings what comes in.
IMAP_HOST = environment.line("IMAP_HOST")
IMAP_PORT = environment.whole_number("IMAP_PORT", 993, minimum=1, maximum=65_535)
IMAP_SECURITY = environment.choice("IMAP_SECURITY", "tls", ("tls", "starttls", "none"))
IMAP_USER = environment.credential("IMAP_USER")
IMAP_PASSWORD = environment.credential("IMAP_PASSWORD")
IMAP_FOLDER = environment.line("IMAP_FOLDER", "INBOX")

# --- Logs ----------------------------------------------------------------------------------------

# What no log line may hold: the values of these settings, and whatever these patterns find.
REDACTED_SETTINGS = [
    "ANYMAIL.SENDGRID_API_KEY",
    "ANYMAIL.WEBHOOK_SECRET",
    "EMAIL_HOST_PASSWORD",
    "IMAP_PASSWORD",
    "METRICS_TOKEN",
]
REDACTED_PATTERNS = ["accounts.api_keys.LOOKS_LIKE_A_KEY"]
LOG_LEVEL = environment.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
# Django's own DEBUG lines hold the SQL, with what customers wrote.
django_log_level = "INFO" if LOG_LEVEL == "DEBUG" else LOG_LEVEL
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "ctxfy_support.logs.JSONFormatter"},
        "text": {"()": "ctxfy_support.logs.TextFormatter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "text" if DEBUG else "json"}
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # Django's own handlers print in its own formats; everything goes through the root instead.
        "django": {"handlers": [], "level": django_log_level, "propagate": True},
        "django.server": {"handlers": [], "level": django_log_level, "propagate": True},
        # 4xx answers have their line already (request_id.py), and a strange Host is one of them.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # Its debug lines are the mails themselves.
        "imapclient": {"level": "WARNING"},
    },
}

# --- Transport -----------------------------------------------------------------------------------

# Only these may say where a request came from and whether it came over TLS.
TRUSTED_PROXIES = environment.networks("TRUSTED_PROXIES")
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SILENCED_SYSTEM_CHECKS = [
    # transport_security.py and security_headers.py do both, by the client's own connection.
    "security.W004",
    "security.W008",
]
SESSION_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_HTTPONLY = True
