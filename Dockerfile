# Stoker's own image: the gateway, the console and chat page, and the simulated engine. `make image` builds it.
# The engine's image is vLLM's own.
# The index of python:3.12-slim for all platforms (Python 3.12.14 on Debian 13). Newer ones are named by
# `docker buildx imagetools inspect python:3.12-slim`; --build-arg BASE=… takes another.
ARG BASE=python:3.12-slim@sha256:e5c9fa26ffb76e11e0f054f30dc2523a2f9693f0c36c0cf1e39b27e152d899fc
FROM ${BASE} AS build
WORKDIR /src
COPY locks/none.txt locks/none.txt
# --no-deps: the lock is the whole list, and every file in it is known by its hash
RUN python -m venv /opt/stoker && /opt/stoker/bin/pip install --no-cache-dir --disable-pip-version-check \
    --require-hashes --no-deps -r locks/none.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/stoker/bin/pip install --no-cache-dir --disable-pip-version-check --no-build-isolation --no-deps . \
    && /opt/stoker/bin/python -m compileall -q /opt/stoker/lib

FROM ${BASE}
COPY --from=build /opt/stoker /opt/stoker
ENV PATH=/opt/stoker/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 1000:1000
WORKDIR /tmp
# `docker run IMAGE plan …`. Pods name their own `command:`, which stands in the entrypoint's place.
ENTRYPOINT ["stoker"]
CMD ["--help"]
