# The server alone. docker-compose.yml runs it with its databases.
FROM python:3.11.13-slim-bookworm AS build
RUN python -m venv /venv
WORKDIR /source
# What it needs before what it is: a change of the code fetches nothing again.
COPY pyproject.toml ./
RUN python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*p["dependencies"], *p["optional-dependencies"]["services"], sep="\n")' > needs.txt \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --requirement needs.txt
COPY README.md LICENSE hatch_build.py ./
COPY cli cli
COPY domain domain
COPY formats formats
COPY resolvers resolvers
COPY schema schema
COPY server server
COPY stores stores
COPY web web
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.11.13-slim-bookworm
# /data is all it writes to: the data of the embedded engine, and what the server makes at its first start.
RUN useradd --system --uid 10001 --no-create-home recollect \
 && install --directory --owner recollect --mode 0700 /data
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 RECOLLECT_DATA=/data
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["recollect"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--data", "/data"]
