"""Every setting, read from the environment (README, "Settings"); the same file serves tests."""

import sys
from pathlib import Path

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from ctxfy_support import environment

BASE_DIR = Path(__file__).resolve().parent.parent

django_stubs_ext.monkeypatch()  # Generic classes take their type at run time too.
environment.read_env_file(BASE_DIR)

# --- Process -------------------------------------------------------------------------------------

DEBUG = environment.boolean("DEBUG", default=False)
SECRET_KEY = environment.parse("SECRET_KEY", "", str)
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("SECRET_KEY: must be set when DEBUG is off")
    SECRET_KEY = get_random_secret_key()
ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = environment.names("CSRF_TRUSTED_ORIGINS")
# Where people reach this service: the mail's link to the back-office starts with it.
SITE_URL = environment.http_url("SITE_URL", "http://127.0.0.1:8000").rstrip("/")

ROOT_URLCONF = "ctxfy_support.urls"
WSGI_APPLICATION = "ctxfy_support.wsgi.application"
INSTALLED_APPS = [
    "accounts",
    "support",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "anymail",
]
MIDDLEWARE = [
    "ctxfy_support.request_id.RequestIdMiddleware",
    "ctxfy_support.envelope.ErrorEnvelopeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
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
# Works without `collectstatic`; with it, files are compressed and cached for ever.
static_root = BASE_DIR / "staticfiles"
static_collected = (static_root / "staticfiles.json").is_file() or "collectstatic" in sys.argv
STATIC_ROOT = static_root if static_collected else None
WHITENOISE_USE_FINDERS = not static_collected
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if static_collected
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- Database ------------------------------------------------------------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": environment.database("DATABASE_URL", "sqlite:///db.sqlite3", BASE_DIR)
    | {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Without these three, writers that meet answer "database is locked". FULL: a committed ticket
    # survives a power cut.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 2,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    # Whole milliseconds; 0 is no limit. The web process sets one (wsgi.py); a migration has none.
    statement_ms = int(
        environment.number("DATABASE_STATEMENT_TIMEOUT_MS", 0, minimum=0, maximum=3_600_000)
    )
    DATABASES["default"]["OPTIONS"] = {
        **DATABASES["default"].get("OPTIONS", {}),
        "connect_timeout": 2,
        "tcp_user_timeout": 2_500,
        "options": f"-c statement_timeout={statement_ms} -c lock_timeout={statement_ms}",
        "prepare_threshold": 5,
        "server_side_binding": True,
    }

# --- Accounts and the API ------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# A body of 20,000 characters fits even when every one is escaped as a surrogate pair.
MAX_BODY_BYTES = 256 * 1024
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.APIKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["ctxfy_support.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "ctxfy_support.negotiation.JSONNegotiation",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "ctxfy_support.envelope.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
}

# --- Mail ----------------------------------------------------------------------------------------

SUPPORT_EMAIL = environment.email_address("SUPPORT_EMAIL")
SUPPORT_EMAIL_FROM = environment.email_address("SUPPORT_EMAIL_FROM", SUPPORT_EMAIL)
SUPPORT_EMAIL_SENDER = environment.choice(
    "SUPPORT_EMAIL_SENDER", "sendgrid", ("sendgrid", "google", "console")
)
SUPPORT_EMAIL_DELIVERY = environment.choice(
    "SUPPORT_EMAIL_DELIVERY", "inline", ("inline", "background")
)
SUPPORT_EMAIL_DEADLINE = environment.number("SUPPORT_EMAIL_DEADLINE", 5, minimum=0.1, maximum=300)

EMAIL_BACKEND = {
    "sendgrid": "support.email_backends.SendGridBackend",
    "google": "support.email_backends.SMTPBackend",
    "console": "django.core.mail.backends.console.EmailBackend",
}[SUPPORT_EMAIL_SENDER]
EMAIL_TIMEOUT = SUPPORT_EMAIL_DEADLINE
EMAIL_USE_LOCALTIME = False

ANYMAIL = {
    "SENDGRID_API_KEY": environment.parse("SENDGRID_API_KEY", "", str),
    "SENDGRID_API_URL": environment.http_url("SENDGRID_API_URL", "https://api.sendgrid.com/v3/"),
    "REQUESTS_TIMEOUT": SUPPORT_EMAIL_DEADLINE,
}

EMAIL_HOST = environment.parse("GOOGLE_SMTP_HOST", "smtp.gmail.com", str) or "smtp.gmail.com"
EMAIL_PORT = int(environment.number("GOOGLE_SMTP_PORT", 587, minimum=1, maximum=65_535))
EMAIL_HOST_USER = environment.parse("GOOGLE_SMTP_USER", "", str)
EMAIL_HOST_PASSWORD = environment.parse("GOOGLE_SMTP_PASSWORD", "", str)
smtp_security = environment.choice("GOOGLE_SMTP_SECURITY", "starttls", ("starttls", "tls", "none"))
EMAIL_USE_TLS = smtp_security == "starttls"
EMAIL_USE_SSL = smtp_security == "tls"

# --- Logs ----------------------------------------------------------------------------------------

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
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        # Django's own handlers print in its own formats; everything goes through the root instead.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True},
        # 4xx answers have their line already (request_id.py), and a strange Host is one of them.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}

# --- Transport -----------------------------------------------------------------------------------

X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_HTTPONLY = True
