# The service as an image: docker build --tag ctxfy-support .
# Web, worker and fetcher are the same image with other arguments (compose.yaml). To have the same
# base for ever, name it by its digest: --build-arg PYTHON_IMAGE=python@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
COPY requirements.txt ./
# Wheels alone, each with a hash of the lock file; pip itself stays behind.
RUN python -m venv --without-pip .venv && \
    python -m pip --python .venv/bin/python install --quiet --require-hashes --only-binary :all: -r requirements.txt
COPY . ./
RUN SECRET_KEY=none-is-needed-for-this ENV_FILE= .venv/bin/python manage.py collectstatic --noinput --verbosity 0 && \
    .venv/bin/python -m compileall -q .

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ctxfy
WORKDIR /app
# The code is root's: whoever breaks in cannot change it. Nothing is written but to the database.
COPY --from=build /app ./
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ENV_FILE=
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD [".venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT [".venv/bin/python", "manage.py"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
