"""A private Dovecot on loopback, IMAP with and without TLS; as many mailboxes as a test likes.

Mails, sockets and log live in one temporary folder that goes with the server. As root it runs as
another user, otherwise as whoever we are.
"""

import contextlib
import grp
import imaplib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from ctxfy_support.tests.loopback import HOST, free_port
from ctxfy_support.tests.postgres import as_user, server_user
from ctxfy_support.tests.smtp_server import certificate_authority

START_SECONDS = 30
STOP_SECONDS = 20
PASSWORD = "abcdefghijklmnop"
# Nothing is chrooted and nobody else's rights are taken: that would need root.
CONFIG = """
base_dir = {directory}/base
state_dir = {directory}/state
log_path = {directory}/log
listen = {host}
ssl = yes
default_login_user = {user}
default_internal_user = {user}
default_internal_group = {group}
mailbox_idle_check_interval = 1s
mail_max_userip_connections = 100
first_valid_uid = 1
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
"""
# What 2.4 calls by other names than 2.3, and its format's version in the first line.
BEFORE_2_4 = """
protocols = imap
ssl_cert = <{directory}/cert.pem
ssl_key = <{directory}/key.pem
disable_plaintext_auth = no
mail_location = maildir:~/mail
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={directory}/homes/%u
}}
"""
FROM_2_4 = """dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols {{
  imap = yes
}}
ssl_server_cert_file = {directory}/cert.pem
ssl_server_key_file = {directory}/key.pem
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = ~/mail
passdb static {{
  password = {password}
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {directory}/homes/%{{user}}
  }}
}}
"""


def find_dovecot():
    """The server's path; without it the test is skipped, or fails where CI must try it."""
    path = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain("Dovecot is not installed")
    return path


@dataclass(frozen=True)
class Mailbox:
    """A mailbox of its own; its password is the server's."""

    server: "Dovecot"
    user: str
    folder: str = "INBOX"

    @property
    def env(self):
        return self.env_for("none")

    def env_for(self, security):
        return {
            "IMAP_HOST": HOST,
            "IMAP_PORT": str(self.server.tls_port if security == "tls" else self.server.port),
            "IMAP_SECURITY": security,
            "IMAP_USER": self.user,
            "IMAP_PASSWORD": PASSWORD,
            "IMAP_FOLDER": self.folder,
            "SSL_CERT_FILE": str(self.server.ca_file),
        }

    @contextlib.contextmanager
    def session(self):
        with imaplib.IMAP4(HOST, self.server.port, timeout=30) as client:
            client.login(self.user, PASSWORD)
            client.select(self.folder)
            yield client

    def append(self, *mails):
        with self.session() as client:
            for mail in mails:
                status, answer = client.append(self.folder, None, None, mail)
                assert status == "OK", answer

    def find(self, criterion):
        """The UIDs that a search finds."""
        with self.session() as client:
            return [int(uid) for uid in client.uid("SEARCH", criterion)[1][0].split()]

    def delete(self, uid):
        with self.session() as client:
            client.uid("STORE", str(uid), "+FLAGS", r"(\Deleted)")
            client.expunge()


class Dovecot:
    def __enter__(self):
        self.port, self.tls_port = free_port(), free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/tmp"))
        self._numbers = itertools.count(1)
        self._process = None
        try:
            self._path = find_dovecot()
            self._configure()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info):
        self.stop()
        shutil.rmtree(self.directory)

    @property
    def ca_file(self):
        return self.directory / "ca.pem"

    @property
    def log(self):
        path = self.directory / "log"
        return path.read_text() if path.exists() else ""

    def make_mailbox(self):
        return Mailbox(self, f"replies-{next(self._numbers)}@ctxfy.example")

    def start(self):
        """Return once it answers; RuntimeError with its log if it does not."""
        self._process = subprocess.Popen(
            [self._path, "-F", "-c", self.directory / "dovecot.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.directory,
            start_new_session=True,
            **as_user(self._user),
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Dovecot does not start:\n{self.log}")
            time.sleep(0.05)

    def stop(self):
        """End it with all its sessions."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def _configure(self):
        self._user = server_user()
        user = self._user or pwd.getpwuid(os.getuid())
        (self.directory / "homes").mkdir()
        version = subprocess.run(
            [self._path, "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[0]
        numbers = tuple(int(number) for number in version.split(".")[:2])
        config = (FROM_2_4 if numbers >= (2, 4) else BEFORE_2_4) + CONFIG
        (self.directory / "dovecot.conf").write_text(
            config.format(
                directory=self.directory,
                host=HOST,
                port=self.port,
                tls_port=self.tls_port,
                user=user.pw_name,
                group=grp.getgrgid(user.pw_gid).gr_name,
                uid=user.pw_uid,
                gid=user.pw_gid,
                password=PASSWORD,
            )
        )
        certificate = certificate_authority().issue_cert(HOST, "localhost")
        certificate_authority().cert_pem.write_to_path(self.ca_file)
        certificate.cert_chain_pems[0].write_to_path(self.directory / "cert.pem")
        certificate.private_key_pem.write_to_path(self.directory / "key.pem")
        if self._user is not None:
            for path in (self.directory, *self.directory.rglob("*")):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _answers(self):
        try:
            with imaplib.IMAP4(HOST, self.port, timeout=5):
                return True
        except (OSError, imaplib.IMAP4.error):
            return False
