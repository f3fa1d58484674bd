"""The rate limit of an account's plan; the request was counted when its key was looked up."""

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.models import APIKey
from accounts.windows import RateLimit


class PlanThrottle(BaseThrottle):
    """DRF's throttle by the plan of `request.user`; the headers are the middleware's."""

    state: RateLimit

    def allow_request(self, request: Request, view: object) -> bool:
        if not isinstance(request.auth, APIKey) or request.auth.rate_limit is None:
            return True  # The 401 that is on its way names no account to count against.
        self.state = request.auth.rate_limit
        return not self.state.is_exceeded

    def wait(self) -> float:
        return self.state.retry_after
