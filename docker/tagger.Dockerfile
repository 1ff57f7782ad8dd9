# Tagging and serving with published models: ONNX Runtime, neither torch nor transformers.
#   make images                        # or:
#   docker build -f docker/tagger.Dockerfile -t tofner-tagger:REVISION --build-arg REVISION=REVISION .
#   docker run --init --rm -v "$PWD:/data" tofner-tagger:REVISION tag --model /data/model --input /data/in --output /data/out
# Builds with and without BuildKit. BASE may be pinned by digest: --build-arg BASE=python@sha256:...
ARG BASE=python:3.11-slim-bookworm

# Apart, so that a change elsewhere in pyproject.toml does not install every library anew.
FROM ${BASE} AS requirements
WORKDIR /build
COPY docker/requirements.py pyproject.toml ./
RUN python3 requirements.py serve > requirements.txt

FROM ${BASE} AS libraries
WORKDIR /build
RUN python3 -m venv --without-pip /opt/tofner
COPY constraints.txt ./
COPY --from=requirements /build/requirements.txt ./
COPY docker/wheels wheels
RUN python3 -m pip --python /opt/tofner/bin/python install --no-cache-dir \
        -c constraints.txt --find-links wheels -r requirements.txt
COPY docker/slim.py ./
RUN python3 slim.py /opt/tofner/lib/python3*/site-packages without-hub

FROM libraries AS code
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY components components
COPY pipelines pipelines
# Laid out as the environment is, to be put over it.
RUN python3 -m pip --python /opt/tofner/bin/python install --no-cache-dir \
        -c constraints.txt --no-deps --prefix /opt/code .

# What is in the image, as CycloneDX.
FROM libraries AS inventory
COPY docker/sbom.txt ./
RUN python3 -m venv /opt/sbom \
 && /opt/sbom/bin/python -m pip install --no-cache-dir -c constraints.txt -r sbom.txt
COPY --from=code /opt/code /opt/tofner
RUN /opt/sbom/bin/cyclonedx-py environment --output-reproducible --of JSON \
        -o /opt/sbom.cdx.json /opt/tofner/bin/python

FROM ${BASE}
# Group 0 may write the home, for clusters that choose the user id themselves.
RUN useradd --uid 10001 --gid 0 --create-home --shell /usr/sbin/nologin tofner \
 && chmod 0770 /home/tofner
# ONNX Runtime reports on sessions and models to its maker, and keeps a device id, unless it is told not to.
ENV PATH=/opt/tofner/bin:$PATH \
    HOME=/home/tofner \
    USER=tofner \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1
COPY --from=libraries /opt/tofner /opt/tofner
COPY --from=code /opt/code /opt/tofner
COPY --from=inventory /opt/sbom.cdx.json /usr/share/tofner/sbom.cdx.json
WORKDIR /home/tofner
USER 10001:0
EXPOSE 8080
ENTRYPOINT ["tofner"]
CMD ["--help"]
ARG BASE
ARG REVISION=unknown
ARG VERSION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="tofner-tagger" \
      org.opencontainers.image.description="Tags text with models that the tofner pipeline published" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.revision="${REVISION}"
