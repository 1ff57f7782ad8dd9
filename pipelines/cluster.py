"""Where and with what each task of a graph runs: images, resources, GPUs, tolerations, secrets.

Everything here is fixed when the graph is compiled (`tofner compile`); what changes a result is a run parameter. The
object store's address and keys reach a pod as environment variables from a ConfigMap and a Secret, both optional: on a
cloud with workload identity there is no Secret, on AWS no endpoint.
"""

from dataclasses import dataclass
from typing import Any

from kfp import dsl, kubernetes

from tofner_kubeflow.components.images import TAGGER, TRAINER, pinned

WEEK = "604800s"
SECRET_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
CONFIG_KEYS = ("S3_ENDPOINT_URL", "AWS_REGION", "HF_ENDPOINT", "HF_HUB_OFFLINE")


@dataclass(frozen=True)
class Cluster:
    """Compile-time options, with the source of each default."""

    revision: str  # tag or digest of the images; the cache key holds only the name, so never a moving tag
    registry: str = ""  # empty: the cluster's default registry
    max_iterations: int = 2  # rounds that the graph holds; the paper found 1 best
    run_id: Any = dsl.PIPELINE_JOB_ID_PLACEHOLDER  # where the records of a run lie; empty keeps none
    cache: bool = False  # the orchestrator's own cache; the store knows what is done, and Kubeflow's costs correctness
    gpus: int = 1  # for each task that runs the encoder; 0 trains on CPUs. Paper: one GPU
    gpu_resource: str = "nvidia.com/gpu"  # resource name of NVIDIA's device plugin
    gpu_taint: str = "nvidia.com/gpu"  # key of the taint that GPU nodes usually carry; empty: no toleration
    gpu_selector: tuple[tuple[str, str], ...] = ()  # node labels that a GPU task asks for
    gpu_cpu: str = "4"  # tokenising and loading beside one GPU
    gpu_memory: str = "16Gi"  # BERT-base with optimiser state is 2 GiB; the rest is corpora and pinned buffers
    cpu: str = "1"
    memory: str = "4Gi"  # CoNLL03, SQuAD and their windows in memory are below 2 GiB
    tag_cpu: str = "2"  # the engine takes its threads from this limit
    tag_memory: str = "2Gi"  # a model of 200 MB and its buffers; memory does not grow with the input
    secret: str = "tofner-s3"
    config_map: str = "tofner-s3"
    retries: int = 0  # adds nothing to what a stock Kubeflow does by itself: deleted pods, and nothing else
    backoff: str = "60s"

    def on_cpu(self, task: Any, name: str) -> Any:
        """Places a light task; returns it."""
        return self._place(task, name).set_cpu_request(self.cpu).set_memory_request(self.memory)

    def on_gpu(self, task: Any, name: str, gpus: Any) -> Any:
        """Places a task that runs the encoder over a corpus; returns it. `gpus`: an output of the task before it."""
        self._place(task, name).set_cpu_request(self.gpu_cpu).set_memory_request(self.gpu_memory)
        self._retry(task)
        if self.gpus:
            task.set_accelerator_type(self.gpu_resource).set_accelerator_limit(gpus)
            if self.gpu_taint:
                kubernetes.add_toleration(task, key=self.gpu_taint, operator="Exists", effect="NoSchedule")
            for label, value in self.gpu_selector:
                kubernetes.add_node_selector(task, label, value)
        return task

    def for_tagging(self, task: Any, name: str) -> Any:
        """Places a tagging worker: the tagger's image, and cores that ONNX Runtime keeps busy."""
        self._place(task, name, TAGGER).set_cpu_request(self.tag_cpu).set_cpu_limit(self.tag_cpu)
        self._retry(task.set_memory_request(self.tag_memory))
        return task

    def _retry(self, task: Any) -> None:
        """Further tries, if asked for. KFP counts the longest wait from the first try's start, and ends a healthy later
        one that is still at work by then: so it is a week."""
        if self.retries:
            task.set_retry(self.retries, backoff_duration=self.backoff, backoff_factor=2.0, backoff_max_duration=WEEK)

    def _place(self, task: Any, name: str, image: str = TRAINER) -> Any:
        task.set_display_name(name).set_container_image(pinned(image, self.revision, self.registry))
        task.set_caching_options(self.cache)
        if self.secret:
            kubernetes.use_secret_as_env(task, self.secret, {key: key for key in SECRET_KEYS}, optional=True)
        if self.config_map:
            kubernetes.use_config_map_as_env(task, self.config_map, {key: key for key in CONFIG_KEYS}, optional=True)
        return task


def laptop(iterations: int) -> Cluster:
    """For `kfp.local`, which starts plain processes and asks its cache first: its keys hold the plan's address, which
    names every setting, file and line of code that a result depends on."""
    return Cluster("local", gpus=0, cache=True, max_iterations=iterations, run_id="", secret="", config_map="")
