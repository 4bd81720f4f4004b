# Telewarden in a container: `docker compose up` uses it with a PostgreSQL beside it (compose.yaml).
# Alone: docker run --init --read-only --tmpfs /tmp -v telewarden:/data -p 127.0.0.1:8010:8010 telewarden
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN python -m venv /opt/telewarden && python -m venv /opt/build
# The packages change seldom: they are a layer of their own. setuptools only builds, and is held to its hash as well.
COPY requirements.lock requirements-dev.lock ./
RUN awk '/^[a-z]/ { wanted = /^setuptools==/ } wanted' requirements-dev.lock > build.lock \
    && /opt/build/bin/python -m pip install --quiet --require-hashes --requirement build.lock \
    && /opt/telewarden/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
COPY setup.cfg pyproject.toml README.md LICENSE sbom.cdx.json ./
COPY config config
COPY actors actors
COPY sandbox sandbox
COPY daemon daemon
COPY systemd systemd
RUN /opt/build/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /src/wheel . \
    && /opt/telewarden/bin/python -m pip install --quiet --no-deps --no-index /src/wheel/*.whl \
    && /opt/telewarden/bin/python -m compileall -q /opt/telewarden/lib \
    && install -m 0644 sbom.cdx.json /opt/telewarden/share/telewarden/sbom.cdx.json \
    && /opt/telewarden/bin/python -m pip uninstall --quiet --yes setuptools pip

FROM python:${PYTHON}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="telewarden" \
      org.opencontainers.image.description="Telegram user accounts on one asyncio loop, their channels' posts in PostgreSQL" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number of its own, above those that hosts give to people: what the container writes belongs to nobody else.
RUN groupadd --system --gid 10001 telewarden \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin telewarden \
    && install -d -o telewarden -g telewarden -m 0700 /data
COPY --from=build /opt/telewarden /opt/telewarden
ENV PATH=/opt/telewarden/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TELEWARDEN__STATE_DIR=/data
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 8010
STOPSIGNAL SIGTERM
# The first start makes a database or migrates one; after that the loop must beat.
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=3 CMD ["telewarden", "health"]
ENTRYPOINT ["telewarden"]
CMD ["run"]
