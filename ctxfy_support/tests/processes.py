"""The real service and its commands as processes, in an environment that nothing leaks into.

Each leads a session of its own: signals reach it with its children, and nothing else.
"""

import configparser
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from urllib.parse import quote, urlencode

import requests

from ctxfy_support.tests.loopback import HOST, reserve_port

PROJECT_DIRECTORY = Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 30


def suite_environment():
    """The variables that pytest.ini sets, for processes that pytest did not start."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(PROJECT_DIRECTORY / "pytest.ini")
    pairs = (line.split("=", 1) for line in config["pytest"]["env"].split("\n") if line)
    return {name: value for name, value in pairs if not name.startswith(("D:", "U:"))}


def make_environment(env):
    return os.environ | suite_environment() | {"PYTHONUNBUFFERED": "1"} | env


def database_url(settings_dict):
    """The DATABASE_URL that leads to a connection's database, such as the test database."""
    name = quote(str(settings_dict["NAME"]))
    if settings_dict["ENGINE"].endswith("sqlite"):
        return f"sqlite:///{name}"
    user, password = (quote(settings_dict[key], safe="") for key in ("USER", "PASSWORD"))
    host = settings_dict["HOST"] or settings_dict.get("OPTIONS", {}).get("host", "")
    if host.startswith("/"):
        host, name = "", f"{name}?{urlencode({'host': host})}"
    return f"postgres://{user}:{password}@{host}:{settings_dict['PORT']}/{name}"


def run_command(*arguments, env, timeout=60):
    """Run `manage.py` with these arguments; return the CompletedProcess, output as text."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT_DIRECTORY,
        env=make_environment(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run_in_foreground(command, **kwargs):
    """Run a command on our own terminal and return its exit status.

    Interrupted, it lets the command clean up and then raises KeyboardInterrupt.
    """
    process = subprocess.Popen(command, **kwargs)

    def pass_on(*args):
        process.terminate()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()  # a terminal's Ctrl-C has reached the command as well
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


class Process:
    """A process that a test may start, pause, kill and start again; a context manager."""

    def __init__(self, *arguments, env):
        self.command = [sys.executable, *arguments]
        self.env = make_environment(env)

    def __enter__(self):
        # Append mode: our reading must not move the place where the process writes.
        self._output = tempfile.TemporaryFile("a+")
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info):
        self.stop()
        self._output.close()

    def start(self):
        self._process = subprocess.Popen(
            self.command,
            cwd=PROJECT_DIRECTORY,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.pid = self._process.pid
        # Strikes once: here, or at the latest when the interpreter ends.
        self._end_session = weakref.finalize(self, signal_group, self.pid, signal.SIGKILL)

    @property
    def output(self):
        """Standard output and error of every start so far."""
        self._output.seek(0)
        return self._output.read()

    @property
    def status(self):
        """The exit status, negative after a signal; None while the process runs."""
        return self._process.poll()

    def wait(self, seconds=STOP_SECONDS):
        """Return the exit status; subprocess.TimeoutExpired if there is none in time."""
        return self._process.wait(seconds)

    def wait_for_output(self, text, seconds=STOP_SECONDS):
        deadline = time.monotonic() + seconds
        while text not in self.output:
            assert self.status is None, f"ended without {text!r}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {text!r} in {seconds} s:\n{self.output}"
            time.sleep(0.02)

    def pause(self):
        signal_group(self.pid, signal.SIGSTOP)

    def resume(self):
        signal_group(self.pid, signal.SIGCONT)

    def kill(self):
        self._end_session()
        self._process.wait()

    def stop(self):
        """Ask it to end, as an operator would, and kill what has not ended in time."""
        if self.status is None:
            self.resume()
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait()
        self.kill()


class CommandProcess(Process):
    """A command of `manage.py` that goes on for long, such as the worker."""

    def __init__(self, *arguments, env):
        super().__init__("manage.py", *arguments, env=env)


class ServiceProcess(Process):
    """The service under `manage.py serve`, answering at `url` once started."""

    def __init__(self, *, env, processes=1, threads=4, arguments=()):
        self._reservation = reserve_port()
        self.port = self._reservation.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        super().__init__(
            *("manage.py", "serve", "--host", HOST, "--port", str(self.port)),
            *("--processes", str(processes), "--threads", str(threads), *arguments),
            env=env,
        )

    def __exit__(self, *exc_info):
        super().__exit__(*exc_info)
        self._reservation.close()

    def start(self):
        """Return once the service answers; RuntimeError with its output if it does not."""
        super().start()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.status is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The service does not start:\n{self.output}")
            time.sleep(0.05)

    def send_raw(self, request, seconds=10, half_close=False):
        """Send these bytes as they are; return all that comes back until the connection ends."""
        with socket.create_connection((HOST, self.port), timeout=seconds) as connection:
            connection.sendall(request)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    def _answers(self):
        try:
            requests.get(f"{self.url}/health", timeout=5)
        except requests.RequestException:
            return False
        return True


def signal_group(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
