"""What secrets look like in a text: one row for each format, with where its shape is written down.

A pattern is tried only where one of its hints stands in the text. `before` is what stays as it is,
`prefix` what the placeholder still shows. Every pattern costs time in proportion to the text,
whoever wrote it: what it repeats without a bound either ends it, or cannot begin again within
itself, because of what must not stand before it.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import NamedTuple

# No word goes on here; what a log has escaped (a line break, a blank in an address) is no word.
_START = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
_END = r"(?![A-Za-z0-9])"
# A line break in a block of base64, also escaped, quoted in a mail or put together from strings.
_GAP = r"(?:[\s\"'+,>]|\\[nrt])"
_AUTHORIZATION = r"(?P<header>authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?)?"
_BLANK = r"(?:\s{1,3}|%20|\+)"


class Format(NamedTuple):
    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    # Where somebody says so: the vendor's documentation, or a rule of the scanner gitleaks.
    source: str
    is_secret: Callable[[re.Match[str]], bool] = lambda match: True
    # Whether the hints are lower-case, and stand in the text in any case.
    any_case: bool = False


def _token(kind: str, hints: str, rest: str, source: str, prefix: str = "") -> Format:
    """A token that begins with one of the hints (or with `prefix`, a pattern) and goes on so."""
    words = tuple(hints.split())
    prefix = prefix or "|".join(re.escape(word) for word in words)
    pattern = re.compile(f"{_START}(?P<prefix>{prefix})(?:{rest}){_END}", re.ASCII)
    return Format(kind, words, pattern, source)


def _value(kind: str, hints: str, before: str, value: str, source: str) -> Format:
    """What stands behind a name that says what it is, in any case of letters."""
    pattern = re.compile(f"(?P<before>{before}){value}", re.ASCII | re.IGNORECASE)
    return Format(kind, tuple(hints.split()), pattern, source, any_case=True)


def _is_bearer_token(match: re.Match[str]) -> bool:
    """A word with a digit in it; in a header also one that is too long for a word.

    `Bearer authentication` and `Authorization: Bearer YOUR_API_KEY` are none.
    """
    token, in_header = match["secret"], bool(match["header"])
    if re.search("[0-9]", token):
        return in_header or len(token) >= 16
    return in_header and len(token) >= 20 and token.isalnum()


def _is_basic_credentials(match: re.Match[str]) -> bool:
    """Base64 of a name, a colon and a password (RFC 7617, section 2)."""
    text = match["secret"].rstrip("=")
    try:
        name, colon, _ = base64.b64decode(text + "=" * (-len(text) % 4), b"-_").partition(b":")
    except binascii.Error:
        return False
    return bool(colon) and (
        bool(match["header"]) or (name.isascii() and name.decode().isprintable())
    )


_PRIVATE_KEY = re.compile(
    r"(?P<prefix>-{4,5} ?BEGIN) (?P<which>[A-Z0-9 ]{0,40}?)PRIVATE KEY(?: BLOCK)? ?-{4,5}"
    # The whole block; or, where its end was cut off, as much as looks like one.
    r"(?:(?:(?!----)[^\x00]){0,30000}+-{4,5} ?END [A-Z0-9 ]{0,60}-{4,5}"
    rf"|{_GAP}*+(?:(?:Proc-Type|DEK-Info|Version|Comment): [^\n\\]{{0,200}}+{_GAP}*+){{0,4}}+"
    rf"(?:[A-Za-z0-9+/=]{{16,}}+{_GAP}*+)*+)",
    re.ASCII,
)

FORMATS = (
    Format(
        "private key",
        ("PRIVATE KEY",),
        _PRIVATE_KEY,
        "RFC 7468, RFC 4716, RFC 9580; OpenSSH's PROTOCOL.key; gitleaks: private-key",
    ),
    _value(
        "PuTTY private key",
        "private-lines:",
        rf"Private-Lines: \d{{1,4}}{_GAP}+",
        r"(?:[A-Za-z0-9+/=]{4,}+(?:\s|\\[nrt])++)+",
        "PuTTY's manual, appendix C: PPK file format",
    ),
    _token(
        "age secret key",
        "AGE-SECRET-KEY-1",
        r"[0-9A-Z]{50,}",
        "age's format; gitleaks: age-secret-key",
    ),
    # --- Clouds ---
    _token(
        "AWS access key",
        "AKIA ASIA ABIA ACCA",
        r"[A-Z0-9]{16}",
        "AWS IAM, unique identifiers; gitleaks: aws-access-token",
    ),
    _value(
        "AWS secret access key",
        "secret sessiontoken session_token",
        r"(?:secret_?access_?key|aws_?secret_?key|aws_?session_?token|\bsessiontoken)"
        r"[\"']?\s{0,3}(?:=>|[:=])\s{0,3}[\"']?",
        r"[A-Za-z0-9/+]{40,}+={0,2}",
        "AWS IAM, access keys: 40 characters of base64",
    ),
    _token("AWS Bedrock key", "ABSK", r"[A-Za-z0-9+/]{100,}={0,2}", "gitleaks: aws-amazon-bedrock"),
    _token("Google API key", "AIza", r"[A-Za-z0-9_-]{35}", "Google Cloud; gitleaks: gcp-api-key"),
    _token(
        "Google OAuth secret", "GOCSPX-", r"[A-Za-z0-9_-]{24,}", "Google Identity, OAuth clients"
    ),
    _token("Google access token", "ya29.", r"[A-Za-z0-9_-]{20,}", "Google Identity, OAuth 2.0"),
    _token("Google refresh token", "1//0", r"[A-Za-z0-9_-]{30,}", "Google Identity, OAuth 2.0"),
    _value(
        "Azure key",
        "accountkey= sharedaccesskey=",
        r"(?:Account|SharedAccess)Key=",
        r"[A-Za-z0-9+/]{40,}+={0,2}",
        "Azure Storage and Service Bus, connection strings",
    ),
    _value(
        "Azure signature",
        "sig=",
        r"[?&]sig=",
        r"[A-Za-z0-9%+/]{40,}+={0,2}",
        "Azure Storage, shared access signatures",
    ),
    _token(
        "Azure client secret",
        "Q~",
        r"[A-Za-z0-9_~.-]{31,34}",
        "Microsoft Entra; gitleaks: azure-ad-client-secret",
        prefix=r"[A-Za-z0-9_~.]{3}[0-9]Q~",
    ),
    _token(
        "DigitalOcean token",
        "dop_v1_ doo_v1_ dor_v1_",
        r"[a-f0-9]{64}",
        "DigitalOcean API; gitleaks: digitalocean-pat, -access-token, -refresh-token",
    ),
    _token("Heroku key", "HRKU-AA", r"[A-Za-z0-9_-]{58}", "gitleaks: heroku-api-key-v2"),
    _token("Databricks token", "dapi", r"[a-f0-9]{32}(?:-\d)?", "gitleaks: databricks-api-token"),
    # --- Code and packages ---
    _token(
        "GitHub token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        r"[A-Za-z0-9_]{30,}",
        "GitHub, token formats; gitleaks: github-pat and its like",
    ),
    _token(
        "GitLab token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- glsoat- glffct- gloas- GR1348941",
        r"[A-Za-z0-9_-]{20,}(?:\.[0-9a-z]{2}\.?[0-9a-z]{7,9})?",
        "GitLab, token overview; gitleaks: gitlab-pat and its like",
    ),
    _token(
        "npm token", "npm_", r"[A-Za-z0-9]{36}", "npm, access tokens; gitleaks: npm-access-token"
    ),
    _token(
        "PyPI token",
        "pypi-AgE",
        r"[A-Za-z0-9_-]{50,}",
        "PyPI, API tokens; gitleaks: pypi-upload-token",
    ),
    _token("RubyGems key", "rubygems_", r"[a-f0-9]{48}", "gitleaks: rubygems-api-token"),
    _token(
        "Docker Hub token",
        "dckr_pat_ dckr_oat_",
        r"[A-Za-z0-9_-]{20,}",
        "Docker Hub, access tokens",
    ),
    _token(
        "Atlassian token", "ATATT3 ATCTT3", r"[A-Za-z0-9_=-]{60,}", "gitleaks: atlassian-api-token"
    ),
    _token("Postman key", "PMAK-", r"[a-f0-9]{24}-[a-f0-9]{34}", "gitleaks: postman-api-token"),
    # --- Models ---
    _token(
        "Anthropic API key",
        "sk-ant-",
        r"[A-Za-z0-9_-]{20,}",
        "Anthropic; gitleaks: anthropic-api-key",
    ),
    _token("OpenRouter API key", "sk-or-", r"v1-[a-f0-9]{64}", "OpenRouter, authentication"),
    _token(
        "OpenAI API key",
        "sk-proj- sk-svcacct- sk-admin- sk-None-",
        r"[A-Za-z0-9_-]{20,}",
        "OpenAI, API keys; gitleaks: openai-api-key",
    ),
    # OpenAI's own without a project; several other vendors took over the form.
    _token(
        "OpenAI API key", "sk-", r"[A-Za-z0-9]{32,}", "OpenAI, API keys; gitleaks: openai-api-key"
    ),
    _token(
        "Hugging Face token",
        "hf_ api_org_",
        r"[A-Za-z0-9]{30,}",
        "Hugging Face, user access tokens; gitleaks: huggingface-access-token",
    ),
    _token("Groq API key", "gsk_", r"[A-Za-z0-9]{40,}", "Groq's console"),
    _token("xAI API key", "xai-", r"[A-Za-z0-9]{60,}", "xAI's console"),
    _token("Perplexity API key", "pplx-", r"[A-Za-z0-9]{48}", "gitleaks: perplexity-api-key"),
    _token("Replicate token", "r8_", r"[A-Za-z0-9]{37}", "Replicate, API tokens"),
    _token(
        "LangSmith key", "lsv2_pt_ lsv2_sk_", r"[a-f0-9]{32}_[a-f0-9]{10}", "LangSmith, API keys"
    ),
    _token("Pinecone key", "pcsk_", r"[A-Za-z0-9_]{40,}", "Pinecone, API keys"),
    # --- Chat, mail, telephone ---
    _token(
        "Slack token",
        "xox xapp-",
        r"[0-9A-Za-z-]{10,}",
        "Slack, token types; gitleaks: slack-bot-token and its like",
        prefix=r"xoxe\.xox[bp]-|xox[abceoprs]-|xapp-",
    ),
    _token(
        "Slack webhook",
        "hooks.slack.com/",
        r"[A-Za-z0-9+/]{20,}",
        "Slack, incoming webhooks; gitleaks: slack-webhook-url",
        prefix=r"hooks\.slack\.com/(?:services|workflows|triggers)/",
    ),
    _token(
        "Discord webhook",
        "/api/webhooks/",
        r"[A-Za-z0-9_-]{60,}",
        "Discord, webhooks",
        prefix=r"discord(?:app)?\.com/api/webhooks/\d{17,20}/",
    ),
    _token(
        "Telegram bot token", ":A", r"[A-Za-z0-9_-]{34}", "Telegram, bots", prefix=r"\d{8,12}:A"
    ),
    _token(
        "SendGrid API key",
        "SG.",
        r"[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}",
        "SendGrid, API keys; gitleaks: sendgrid-api-token",
    ),
    _token(
        "Twilio API key", "SK", r"[0-9a-fA-F]{32}", "Twilio, API keys; gitleaks: twilio-api-key"
    ),
    _token(
        "Brevo API key",
        "xkeysib-",
        r"[a-f0-9]{64}-[A-Za-z0-9]{16}",
        "gitleaks: sendinblue-api-token",
    ),
    _token("Mailgun key", "key-", r"[a-f0-9]{32}", "gitleaks: mailgun-private-api-token"),
    # --- Money and shops ---
    _token(
        "Stripe key",
        "sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_",
        r"[A-Za-z0-9]{10,}",
        "Stripe, API keys; gitleaks: stripe-access-token",
    ),
    _token(
        "Stripe webhook secret", "whsec_", r"[A-Za-z0-9+/]{24,}={0,2}", "Stripe, webhook signatures"
    ),
    _token(
        "Shopify token",
        "shpat_ shpca_ shppa_ shpss_ shptka_ shpua_",
        r"[a-fA-F0-9]{32}",
        "Shopify, access tokens; gitleaks: shopify-access-token and its like",
    ),
    _token(
        "Square token",
        "sq0atp- sq0csp- EAAAE EAAAl",
        r"[A-Za-z0-9_-]{22,64}",
        "Square, access tokens; gitleaks: square-access-token",
    ),
    # --- What runs things ---
    _token(
        "Vault token",
        "hvs. hvb.",
        r"[A-Za-z0-9_-]{24,}",
        "Vault, tokens; gitleaks: vault-service-token",
    ),
    _token("Doppler token", "dp.pt. dp.st.", r"[A-Za-z0-9._-]{40,}", "gitleaks: doppler-api-token"),
    _token(
        "Grafana token",
        "glsa_",
        r"[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}",
        "gitleaks: grafana-service-account-token",
    ),
    _token("New Relic key", "NRAK-", r"[A-Z0-9]{27}", "gitleaks: new-relic-user-api-key"),
    _token(
        "Sentry token",
        "sntryu_ sntrys_",
        r"[A-Za-z0-9+/_]{40,}={0,2}",
        "gitleaks: sentry-user-token",
    ),
    _token("Linear key", "lin_api_", r"[A-Za-z0-9]{40}", "gitleaks: linear-api-key"),
    _token("Notion token", "ntn_", r"[A-Za-z0-9]{46}", "gitleaks: notion-api-token"),
    _token(
        "PlanetScale token",
        "pscale_tkn_ pscale_pw_ pscale_oauth_",
        r"[A-Za-z0-9_.-]{32,64}",
        "gitleaks: planetscale-api-token and its like",
    ),
    # --- What may hold anything ---
    Format(
        "JSON Web Token",
        ("eyJ",),
        re.compile(
            r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
            r"(?P<prefix>eyJ)[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{4,}+\.[A-Za-z0-9_-]*+",
            re.ASCII,
        ),
        "RFC 7519, section 3; gitleaks: jwt",
    ),
    _value(
        "password",
        "://",
        r"://[^\s:/?#@\"'<>]{0,100}:",
        # The word itself stands for one in every manual.
        r"(?![$<{*]|%[sd(]|\.{3}@|password@|PASSWORD@)[^\s/?#\"'<>]{1,256}(?=@[\w\[])",
        "RFC 3986, section 3.2.1",
    ),
    Format(
        "token",
        ("bearer",),
        re.compile(
            rf"(?P<before>{_AUTHORIZATION}\bbearer{_BLANK})(?P<secret>[\w.~+/-]{{8,}}+=*)",
            re.ASCII | re.IGNORECASE,
        ),
        "RFC 6750, section 2.1",
        _is_bearer_token,
        any_case=True,
    ),
    Format(
        "credentials",
        ("basic",),
        re.compile(
            rf"(?P<before>{_AUTHORIZATION}\bbasic{_BLANK})(?P<secret>[\w+/-]{{4,}}+={{0,2}})",
            re.ASCII | re.IGNORECASE,
        ),
        "RFC 7617, section 2",
        _is_basic_credentials,
        any_case=True,
    ),
)
