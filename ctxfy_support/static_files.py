"""Static files work without `collectstatic`; with it they are compressed and cached for ever."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFilesStorage(CompressedManifestStaticFilesStorage):
    """WhiteNoise's storage, which until the manifest is written gives files their plain names."""

    def stored_name(self, name: str) -> str:
        return str(super().stored_name(name)) if self.hashed_files else name


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise's, which looks for files of packages when the first file is asked for.

    There are some two hundred, and a process (or a test's client) that serves the API alone needs
    none of them.
    """

    _has_packages_files = False

    def add_files_from_finders(self) -> None:
        """Leave it to the first request; WhiteNoise calls this at the start."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_file = request.path_info.startswith(self.static_prefix)
        if is_file and self.use_finders and not self.autorefresh and not self._has_packages_files:
            # Threads that meet here all find the same.
            super().add_files_from_finders()
            self._has_packages_files = True
        response: HttpResponseBase = super().__call__(request)
        return response
