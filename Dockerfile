# The lineage commands alone. The pipeline: --build-arg EXTRAS=[pipeline]
#   docker build -t traitline . && docker run --rm -v "$PWD:/models:ro" traitline scan /models
FROM python:3.13-slim
ARG EXTRAS=
COPY pyproject.toml README.md LICENSE /source/
COPY traitline /source/traitline
RUN python -m pip install --no-cache-dir "/source$EXTRAS" && rm -r /source && useradd --create-home traitline
USER traitline
WORKDIR /models
ENTRYPOINT ["traitline"]
