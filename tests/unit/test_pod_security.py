"""Every pod of k8s/ against the Pod Security Standard `restricted`, control by control, and what else is asked of pods.

The controls are those of kubernetes.io/docs/concepts/security/pod-security-standards (v1.34); each one stands here with
a change that breaks it, so that a control which sees nothing fails too.
"""

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.kustomize import WHOLE, Document, every_pod, pods, rendered

each_pod = pytest.mark.parametrize(("folder", "key"), every_pod(), ids=lambda value: value)
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
BASELINE_CAPABILITIES = set(
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID "
    "SYS_CHROOT".split()
)
SAFE_SYSCTLS = set(
    "kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_unprivileged_port_start net.ipv4.tcp_syncookies "
    "net.ipv4.ping_group_range net.ipv4.ip_local_reserved_ports net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout "
    "net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_rmem net.ipv4.tcp_wmem".split()
)
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}


def containers(pod: Document) -> Iterator[Document]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod.get(kind, [])


def contexts(pod: Document) -> Iterator[Document]:
    """Security contexts of a pod and of each container."""
    yield pod.get("securityContext", {})
    for container in containers(pod):
        yield container.get("securityContext", {})


def effective(pod: Document, name: str) -> list[Any]:
    """A field of each container's security context, the pod's where the container has none."""
    default = pod.get("securityContext", {}).get(name)
    return [container.get("securityContext", {}).get(name, default) for container in containers(pod)]


def handlers(pod: Document) -> Iterator[Document]:
    """Probes and lifecycle hooks: each names an action."""
    for container in containers(pod):
        yield from (container[name] for name in container if name.endswith("Probe"))
        yield from container.get("lifecycle", {}).values()


def capabilities(pod: Document, name: str) -> list[set[str]]:
    found = [container.get("securityContext", {}).get("capabilities", {}) for container in containers(pod)]
    return [set(value.get(name, [])) for value in found]


@dataclass(frozen=True)
class Control:
    """`holds` says whether a pod's spec keeps to it; `broken` changes a good one so that it does not."""

    name: str
    holds: Callable[[Document], bool]
    broken: Callable[[Document], Any]


def _first(pod: Document) -> Document:
    context: Document = pod["containers"][0].setdefault("securityContext", {})
    return context


CONTROLS = [
    # baseline
    Control(
        "HostProcess",
        lambda pod: not any(c.get("windowsOptions", {}).get("hostProcess") for c in contexts(pod)),
        lambda pod: _first(pod).update(windowsOptions={"hostProcess": True}),
    ),
    Control(
        "Host Namespaces",
        lambda pod: not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
        lambda pod: pod.update(hostPID=True),
    ),
    Control(
        "Privileged Containers",
        lambda pod: not any(c.get("privileged") for c in contexts(pod)),
        lambda pod: _first(pod).update(privileged=True),
    ),
    Control(
        "Capabilities (baseline)",
        lambda pod: all(added <= BASELINE_CAPABILITIES for added in capabilities(pod, "add")),
        lambda pod: _first(pod).update(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}),
    ),
    Control(
        "HostPath Volumes",
        lambda pod: not any("hostPath" in volume for volume in pod.get("volumes", [])),
        lambda pod: pod["volumes"].append({"name": "node", "hostPath": {"path": "/"}}),
    ),
    Control(
        "Host Ports",
        lambda pod: not any(port.get("hostPort") for c in containers(pod) for port in c.get("ports", [])),
        lambda pod: pod["containers"][0].setdefault("ports", []).append({"containerPort": 1, "hostPort": 1}),
    ),
    Control(
        "Host Probes / Lifecycle Hooks",
        lambda pod: (
            not any(handler.get(kind, {}).get("host") for handler in handlers(pod) for kind in ("httpGet", "tcpSocket"))
        ),
        lambda pod: pod["containers"][0].update(livenessProbe={"httpGet": {"host": "192.0.2.1", "port": 1}}),
    ),
    Control(
        "AppArmor",
        lambda pod: all(c.get("appArmorProfile", {}).get("type") != "Unconfined" for c in contexts(pod)),
        lambda pod: _first(pod).update(appArmorProfile={"type": "Unconfined"}),
    ),
    Control(
        "SELinux",
        lambda pod: all(
            c.get("seLinuxOptions", {}).get("type", "") in SELINUX
            and not {"user", "role"} & {*c.get("seLinuxOptions", {})}
            for c in contexts(pod)
        ),
        lambda pod: _first(pod).update(seLinuxOptions={"type": "spc_t"}),
    ),
    Control(
        "/proc Mount Type",
        lambda pod: all(c.get("procMount", "Default") == "Default" for c in contexts(pod)),
        lambda pod: _first(pod).update(procMount="Unmasked"),
    ),
    Control(
        "Sysctls",
        lambda pod: {s["name"] for s in pod.get("securityContext", {}).get("sysctls", [])} <= SAFE_SYSCTLS,
        lambda pod: pod["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
    ),
    # restricted
    Control(
        "Volume Types",
        lambda pod: all({*volume} - {"name"} <= VOLUMES for volume in pod.get("volumes", [])),
        lambda pod: pod["volumes"].append({"name": "share", "nfs": {"server": "192.0.2.1", "path": "/"}}),
    ),
    Control(
        "Privilege Escalation",
        lambda pod: all(c.get("securityContext", {}).get("allowPrivilegeEscalation") is False for c in containers(pod)),
        lambda pod: _first(pod).pop("allowPrivilegeEscalation"),
    ),
    Control(
        "Running as Non-root",
        lambda pod: all(value is True for value in effective(pod, "runAsNonRoot")),
        lambda pod: _first(pod).update(runAsNonRoot=False),
    ),
    Control(
        "Running as Non-root user",
        lambda pod: all(c.get("runAsUser") != 0 for c in contexts(pod)),
        lambda pod: _first(pod).update(runAsUser=0),
    ),
    Control(
        "Seccomp",
        lambda pod: all(
            (value or {}).get("type") in {"RuntimeDefault", "Localhost"} for value in effective(pod, "seccompProfile")
        ),
        lambda pod: pod["securityContext"].pop("seccompProfile"),
    ),
    Control(
        "Capabilities (restricted)",
        lambda pod: (
            all("ALL" in dropped for dropped in capabilities(pod, "drop"))
            and all(added <= {"NET_BIND_SERVICE"} for added in capabilities(pod, "add"))
        ),
        lambda pod: _first(pod).update(capabilities={"drop": ["NET_RAW"]}),
    ),
]
each_control = pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)


@each_control
def test_no_pod_breaks_a_control_of_restricted(control: Control) -> None:
    broken = [f"{folder}: {key}" for folder, key in every_pod() if not control.holds(pods(folder)[key]["spec"])]
    assert broken == []


@each_control
def test_a_pod_that_breaks_a_control_is_seen(control: Control) -> None:
    pod = copy.deepcopy(pods("serving")["Deployment/tofner-serve"]["spec"])
    control.broken(pod)
    assert not control.holds(pod)


def test_all_pods_are_looked_at() -> None:
    made = {f"{folder} {key}" for folder, key in every_pod()}
    assert {
        "tagging Job/tofner-tag",
        "tagging CronJob/tofner-tag-nightly",
        "serving Deployment/tofner-serve",
        "kserve InferenceService/tofner",
        "overlays/seaweedfs StatefulSet/tofner-store",
        "overlays/aws CronJob/tofner-tag-nightly",
        "overlays/kubeflow-profile Job/tofner-tag",
    } <= made


@each_pod
def test_the_root_is_read_only_and_tmp_is_a_bounded_scratch(folder: str, key: str) -> None:
    pod = pods(folder)[key]["spec"]
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert "sizeLimit" in volumes[mounts["/tmp"]]["emptyDir"]
        assert {*mounts.values()} >= {*volumes}, "a volume that nothing mounts"


def amount(text: str) -> float:
    """A Kubernetes quantity as a number: cores, or bytes.

    >>> amount("500m"), amount("2Gi")
    (0.5, 2147483648.0)
    """
    number, unit = re.findall(r"^([\d.]+)(m|Ki|Mi|Gi|)$", text)[0]
    return float(number) * {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "": 1.0}[unit]


@each_pod
def test_requests_and_limits_of_all_three_resources(folder: str, key: str) -> None:
    pod = pods(folder)[key]["spec"]
    for container in pod["containers"]:
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert {*requests} == {*limits} == {"cpu", "memory", "ephemeral-storage"}
        assert all(amount(requests[name]) <= amount(limits[name]) for name in limits)
        scratch = sum(amount(v["emptyDir"]["sizeLimit"]) for v in pod.get("volumes", []) if "emptyDir" in v)
        assert scratch <= amount(limits["ephemeral-storage"]), "the kubelet would evict it before its volumes are full"


@each_pod
def test_no_pod_can_ask_the_kubernetes_api(folder: str, key: str) -> None:
    pod = pods(folder)[key]["spec"]
    assert pod["automountServiceAccountToken"] is False
    accounts = {d["metadata"]["name"]: d for d in rendered(folder) if d["kind"] == "ServiceAccount"}
    assert accounts[pod["serviceAccountName"]]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("folder", WHOLE)
def test_nothing_gives_rights(folder: str) -> None:
    kinds = {document["kind"] for document in rendered(folder)}
    assert not kinds & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}


@each_pod
def test_images_have_a_tag_that_does_not_move(folder: str, key: str) -> None:
    for container in pods(folder)[key]["spec"]["containers"]:
        name, _, tag = container["image"].rpartition(":")
        assert name
        assert tag not in {"latest", "main", "master", "stable"}
        assert container["imagePullPolicy"] == "IfNotPresent"


@each_pod
def test_users_have_high_numbers(folder: str, key: str) -> None:
    """A number that is no user of the node."""
    assert pods(folder)[key]["spec"]["securityContext"]["runAsUser"] >= 10_000
