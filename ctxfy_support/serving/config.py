"""uvicorn's settings, and what all connections of one process share."""

import resource

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ctxfy_support.serving.threads import Threads

# Descriptors that connections must leave: the database, mail, log, files.
RESERVED_DESCRIPTORS = 200
MAX_CONNECTIONS = 10_000
# More, and the first process to wake would take everybody.
ACCEPTED_AT_ONCE = 1
KEEP_ALIVE_SECONDS = 75  # More than a proxy's own (nginx: 60), so that the proxy hangs up first.
# After a signal; with what else a stop takes it is within the ten of the contract.
STOP_SECONDS = 8


class Config(uvicorn.Config):
    """uvicorn's, made for a class of connections."""

    def __init__(
        self,
        application: Threads,
        connection: type[HttpToolsProtocol],
        request_seconds: float,
    ) -> None:
        super().__init__(
            application,
            http=connection,
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            workers=1,
            proxy_headers=False,  # TRUSTED_PROXIES says whom to believe (transport_security.py).
            server_header=False,
            backlog=ACCEPTED_AT_ONCE,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        self.request_seconds = request_seconds
        self.max_connections = _raise_descriptor_limit()
        # Those that hold no request, the longest waiting first.
        self.idle: dict[HttpToolsProtocol, None] = {}
        self.is_stopping = False


def _raise_descriptor_limit() -> int:
    """Let this process open what it may; return how many connections that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_CONNECTIONS + RESERVED_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(limit - RESERVED_DESCRIPTORS, limit // 2)
