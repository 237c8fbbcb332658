# syntax=docker/dockerfile:1
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# The wheel is built in an environment of its own; only what is needed to run gets into the one that is kept.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /build \
    && /build/bin/pip install --require-hashes -r requirements-build.lock \
    && python -m venv /opt/deskgate \
    && /opt/deskgate/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY sidecar sidecar
COPY sync sync
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/deskgate/bin/pip install --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 deskgate \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin deskgate \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/deskgate /var/lib/deskgate/store /var/lib/deskgate/state
COPY --from=build /opt/deskgate /opt/deskgate
COPY policies/desking.yaml /etc/deskgate/policies/
# gRPC stays on loopback, shared by the containers of a pod; HTTP is for probes and scrapes.
ENV PATH=/opt/deskgate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    DESKGATE_STORE=sqlite:////var/lib/deskgate/store/store.db \
    DESKGATE_POLICIES=/etc/deskgate/policies \
    DESKGATE_STATE_DIR=/var/lib/deskgate/state \
    DESKGATE_HTTP_ADDRESS=0.0.0.0:9291
USER 10001:10001
VOLUME ["/var/lib/deskgate"]
EXPOSE 9291
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["deskgate", "health"]
ENTRYPOINT ["deskgate"]
CMD ["serve"]
