"""Where and with what each task of a graph runs: images, resources, GPUs, tolerations, secrets.

Everything here is fixed when the graph is compiled (`tofner compile`); what changes a result is a run parameter, but
for GPUs and threads, which the plan pins as the graph has them where no setting `compute.*` says otherwise. The
object store's address and keys reach a pod as environment variables from a ConfigMap and a Secret, both optional: on a
cloud with workload identity there is no Secret, on AWS no endpoint. What a kind of cluster needs is a profile: a YAML
file in `profiles`, or one of one's own.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from kfp import dsl, kubernetes
from pydantic import Field, field_validator

from tofner.presets.load import load_settings
from tofner.release.registry import ADDRESS
from tofner.settings import Strict
from tofner_kubeflow.components.images import TAGGER, TRAINER, pinned

PROFILES = Path(__file__).parent / "profiles"
CONFIG_KEYS = ("S3_ENDPOINT_URL", "AWS_REGION", "HF_ENDPOINT", "HF_HUB_OFFLINE")
WEEK = "604800s"


class Toleration(Strict):
    """A taint of nodes that a task puts up with, as Kubernetes has it."""

    key: str
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    effect: Literal["NoSchedule", "NoExecute", "PreferNoSchedule"] | None = None


def cores(quantity: str) -> float:
    """CPUs as Kubernetes writes them.

    >>> cores("2"), cores("500m"), cores("1.5")
    (2.0, 0.5, 1.5)
    """
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


class Place(Strict):
    """What a kind of task asks for; sizes as Kubernetes writes them."""

    cpu: str = Field(description="CPUs that are reserved")
    memory: str = Field(description="memory that is reserved")
    cpu_limit: str | None = Field(default=None, description="CPUs at most")
    memory_limit: str | None = Field(default=None, description="memory at most: beyond it the container is killed")
    selector: dict[str, str] = Field(default={}, description="labels of the nodes to run on")
    tolerations: list[Toleration] = Field(default=[], description="taints of nodes to put up with")
    scratch: str | None = Field(default=None, description="size of a volume of its own at /tmp, where the disk of a "
                                "node is small")  # fmt: skip
    shared_memory: str | None = Field(default=None, description="size of /dev/shm, in memory")
    timeout_s: int | None = Field(default=None, gt=0, description="seconds after which a pod is ended")

    @field_validator("cpu", "cpu_limit", mode="before")
    @classmethod
    def _is_a_quantity(cls, value: Any) -> str | None:
        if value is None:
            return None
        value = str(value)  # a plain number in YAML
        if not re.fullmatch(r"\d+(\.\d+)?|\d+m", value) or not cores(value):
            raise ValueError("CPUs as Kubernetes writes them, such as 4 or 500m")
        return value


class Encoder(Place):
    """What a task asks for that runs the encoder over a corpus."""

    cpu: str = Field(default="4", description="CPUs: tokenising and loading beside one GPU")
    memory: str = Field(default="16Gi", description="memory: BERT-base with its optimiser is 2 GiB, the rest corpora "
                        "and pinned buffers")  # fmt: skip
    gpus: int = Field(default=1, ge=0, description="GPUs of a task that has work to do; 0 trains on CPUs. Paper: one")
    resource: str = Field(default="nvidia.com/gpu", description="what the GPU's device plugin calls it")
    threads: int | None = Field(default=None, ge=0, description="that a task on CPUs computes with, and its results "
                                "depend on; `cpu` when not given, 0 for the planning machine's")  # fmt: skip

    @property
    def threads_pinned(self) -> int:
        """What the plan is told: `threads`, else whole CPUs that are reserved, at least 1."""
        return math.ceil(cores(self.cpu)) if self.threads is None else self.threads


class Light(Place):
    """What a light task asks for."""

    cpu: str = Field(default="1", description="CPUs that are reserved")
    memory: str = Field(default="4Gi", description="memory: CoNLL03, SQuAD and their windows are below 2 GiB")


class Tagger(Place):
    """What a tagging worker asks for."""

    cpu: str = Field(default="2", description="CPUs that are reserved")
    cpu_limit: str | None = Field(default="2", description="CPUs at most; the engine takes its threads from it")
    memory: str = Field(default="2Gi", description="memory: a model of 200 MB and its buffers, however large the input")


class Secret(Strict):
    """Keys of the object store. In a Kubeflow profile: `mlpipeline-minio-artifact`, `accesskey`, `secretkey`."""

    name: str = Field(default="tofner-s3", description="empty for none: pods have an identity of their own")
    access_key: str = Field(default="AWS_ACCESS_KEY_ID", description="its entry with the access key")
    secret_key: str = Field(default="AWS_SECRET_ACCESS_KEY", description="its entry with the secret key")
    session_token: str = Field(default="AWS_SESSION_TOKEN", description="its entry with a session token; may be absent")


class Cluster(Strict):
    """Compile-time options."""

    revision: str = Field(description="tag of the images, or a digest (sha256:…); never a moving tag")
    registry: str = Field(default="", description="where the images are; empty for the cluster's own")
    store: str = Field(default="s3://tofner", description="default of the run parameter `store`: where runs keep "
                       "everything")  # fmt: skip
    max_iterations: int = Field(default=2, ge=0, description="rounds that the graph holds. Paper: 1 is best")
    encoder: Encoder = Encoder()
    light: Light = Light()
    tagger: Tagger = Tagger()
    secret: Secret = Secret()
    config_map: str = Field(default="tofner-s3", description="ConfigMap with S3_ENDPOINT_URL, AWS_REGION, HF_ENDPOINT, "
                            "HF_HUB_OFFLINE; empty for none")  # fmt: skip
    pull_secrets: list[str] = Field(default=[], description="Secrets for pulling images")
    labels: dict[str, str] = Field(default={}, description="labels of every pod")
    annotations: dict[str, str] = Field(default={}, description="annotations of every pod")
    run_as_user: int | None = Field(default=None, ge=1, description="user of the containers; the images' own is 10001")
    retries: int = Field(default=0, ge=0, description="further tries of a task that runs the encoder; a stock Kubeflow "
                         "tries deleted pods by itself, and nothing else in any case")  # fmt: skip
    deadline_s: int | None = Field(default=None, gt=0, description="seconds after which a run is ended; wants a "
                                   "Kubeflow of the SDK's version, 2.17")  # fmt: skip
    keep_s: int | None = Field(default=None, gt=0, description="seconds after its end that a run's pods stay, with "
                               "their logs; the store keeps the records. As above")  # fmt: skip
    model_registry: str = Field(default="", description="address of Kubeflow's model registry, where published models "
                                "are entered; empty for none")  # fmt: skip
    run_id: str = Field(default=dsl.PIPELINE_JOB_ID_PLACEHOLDER, description="names a run's records; empty keeps none")
    cache: bool = Field(default=False, description="the orchestrator's own cache; the store knows what is done, "
                        "and Kubeflow's costs correctness")  # fmt: skip

    def on_cpu(self, task: Any, name: str) -> Any:
        """Places a light task; returns it."""
        return self._place(task, name, self.light)

    def whole_run(self) -> dsl.PipelineConfig:
        """What holds for a run and not for a task."""
        return dsl.PipelineConfig(ttl_seconds_after_finished=self.keep_s, active_deadline_seconds=self.deadline_s)

    def publishing(self, task: Any) -> Any:
        """Tells a task that publishes where the model registry is, if there is one; returns it."""
        return task.set_env_variable(ADDRESS, self.model_registry) if self.model_registry else task

    def on_gpu(self, task: Any, name: str, gpus: Any) -> Any:
        """Places a task that runs the encoder over a corpus; returns it. `gpus`: an output of the task before it."""
        self._retry(self._place(task, name, self.encoder))
        if self.encoder.gpus:
            task.set_accelerator_type(self.encoder.resource).set_accelerator_limit(gpus)
        return task

    def for_tagging(self, task: Any, name: str) -> Any:
        """Places a tagging worker: the tagger's image, and cores that ONNX Runtime keeps busy."""
        return self._retry(self._place(task, name, self.tagger, TAGGER))

    def _retry(self, task: Any) -> Any:
        """Further tries, if asked for. KFP counts the longest wait from the first try's start, and ends a healthy later
        one that is still at work by then: so it is a week."""
        if self.retries:
            task.set_retry(self.retries, backoff_duration="60s", backoff_factor=2.0, backoff_max_duration=WEEK)
        return task

    def _place(self, task: Any, name: str, place: Place, image: str = TRAINER) -> Any:
        task.set_display_name(name).set_container_image(pinned(image, self.revision, self.registry))
        task.set_caching_options(self.cache)
        task.set_cpu_request(place.cpu).set_memory_request(place.memory)
        if place.cpu_limit:
            task.set_cpu_limit(place.cpu_limit)
        if place.memory_limit:
            task.set_memory_limit(place.memory_limit)
        for label, value in place.selector.items():
            kubernetes.add_node_selector(task, label, value)
        for one in place.tolerations:
            kubernetes.add_toleration(task, one.key, one.operator, one.value, one.effect)
        if place.scratch:
            kubernetes.empty_dir_mount(task, "scratch", "/tmp", size_limit=place.scratch)
        if place.shared_memory:
            kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit=place.shared_memory)
        if place.timeout_s:
            kubernetes.set_timeout(task, place.timeout_s)
        self._as_everywhere(task)
        return task

    def _as_everywhere(self, task: Any) -> None:
        keys = {
            self.secret.access_key: "AWS_ACCESS_KEY_ID",
            self.secret.secret_key: "AWS_SECRET_ACCESS_KEY",
            self.secret.session_token: "AWS_SESSION_TOKEN",
        }
        if self.secret.name:
            kubernetes.use_secret_as_env(task, self.secret.name, keys, optional=True)
        if self.config_map:
            kubernetes.use_config_map_as_env(task, self.config_map, {key: key for key in CONFIG_KEYS}, optional=True)
        if self.pull_secrets:
            kubernetes.set_image_pull_secrets(task, self.pull_secrets)
        for key, value in self.labels.items():
            kubernetes.add_pod_label(task, key, value)
        for key, value in self.annotations.items():
            kubernetes.add_pod_annotation(task, key, value)
        if self.run_as_user:
            kubernetes.set_security_context(task, run_as_user=self.run_as_user, run_as_non_root=True)


def load_cluster(profile: str, overrides: Sequence[str], **given: Any) -> Cluster:
    """A shipped profile (`cpu`, `gpu`) or a YAML file of one's own, with `key=value` overrides.

    Args:
        given: values that go before those of the profile and after nothing else.

    Raises:
        BadSettings: unknown profile, unreadable file, or any unknown key or wrong value, all listed.
    """
    return load_settings(Cluster, profile, PROFILES, overrides, given)


def laptop(iterations: int, revision: str = "local") -> Cluster:
    """For `kfp.local`, which asks its cache first: its keys hold the plan's address, which names every setting, file
    and line of code that a result depends on. `revision` is the digest of the image that tasks run in, if they do."""
    encoder, secret = Encoder(gpus=0, threads=0), Secret(name="")
    more: dict[str, Any] = {"run_id": "", "cache": True, "config_map": ""}
    return Cluster(revision=revision, max_iterations=iterations, encoder=encoder, secret=secret, **more)
