# The image of Threadwise's own processes: api, worker and clock (docker-compose.yml). Not run here: no Docker was at hand
# when this was written. The installation below was resolved without one, and gives the locked versions exactly.
# Add the digest (…@sha256:…) to both FROM lines when the image is first pulled.
#
# No language model is inside: its weights come onto a volume. The embedder's are, in the Python package that ships them.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN python -m pip install --no-cache-dir uv==0.13.9 && python -m venv /venv
WORKDIR /app
COPY pyproject.toml requirements.lock README.md LICENSE ./
# What the product needs, each in its locked version; torch from the index of its CPU builds: others bring gigabytes.
RUN VIRTUAL_ENV=/venv uv pip install --no-cache --torch-backend cpu -r pyproject.toml -c requirements.lock
COPY core core
COPY features features
COPY ingest ingest
COPY retrieval retrieval
COPY generation generation
COPY threadwise threadwise
COPY workers workers
COPY api api
COPY deploy deploy
RUN VIRTUAL_ENV=/venv uv pip install --no-cache --no-deps -e . && /venv/bin/python -m compileall -q /app

FROM python:3.11.14-slim-bookworm
# llama.cpp's library (xllamacpp) links the system's OpenMP; every other wheel brings what it needs.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 threadwise \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin threadwise \
    && install -d -m 0700 -o 10001 -g 10001 /data /cache
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
# The root file system may be read-only: what is written lies in /data, /cache and /tmp, which is also the home.
ENV PATH=/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    THREADWISE_DATA_DIR=/data THREADWISE_EMBEDDING__CACHE_DIR=/cache
USER 10001:10001
EXPOSE 8765
# The others: python -m workers.worker, python -m workers.clock. Each brings the catalogue's schema up to date when it
# opens it, one at a time, so no step of its own migrates.
CMD ["python", "-m", "api.server"]
