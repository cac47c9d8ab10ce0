# Stoker's own image: the gateway, the chat page and the simulated engine. `make image` builds it.
# The engine's image is vLLM's own.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY locks/none.txt locks/none.txt
# --no-deps: the lock is the whole list, and every file in it is known by its hash
RUN python -m venv /opt/stoker && /opt/stoker/bin/pip install --no-cache-dir --disable-pip-version-check \
    --require-hashes --no-deps -r locks/none.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/stoker/bin/pip install --no-cache-dir --disable-pip-version-check --no-build-isolation --no-deps . \
    && /opt/stoker/bin/python -m compileall -q /opt/stoker/lib

FROM python:${PYTHON}-slim
COPY --from=build /opt/stoker /opt/stoker
ENV PATH=/opt/stoker/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 1000:1000
WORKDIR /tmp
CMD ["stoker", "--help"]
