"""What the folders of k8s/ make: valid documents that fit each other, keys by reference, and networks closed."""

import base64
import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.kustomize import K8S, WHOLE, Document, documents, every_pod, kustomize, one, pods, rendered, template
from tests.unit.test_pod_security import amount
from tofner.tagging import serve, server

each_folder = pytest.mark.parametrize("folder", WHOLE)
each_pod = pytest.mark.parametrize(("folder", "key"), every_pod(), ids=lambda value: value)
CLOSED = ["overlays/aws", "overlays/kubeflow-profile", "overlays/seaweedfs"]  # those with network policies
USERS_OWN = {"Secret/tofner-s3", "ConfigMap/tofner-s3"}  # what k8s/base makes
STORE_PORTS = {"overlays/aws": {443, 80}, "overlays/kubeflow-profile": {8333, 9000}, "overlays/seaweedfs": {8333}}


def problems(document: Document) -> str:
    """What kubernetes-validate says against a document, its warnings too; empty when nothing."""
    try:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error.message)
    return ""


@each_folder
def test_every_document_is_valid(folder: str) -> None:
    for document in rendered(folder):
        if document["kind"] == "InferenceService":  # no schema of Kubernetes: its pod is looked at instead
            pod = template(document)
            assert pod
            checked = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "predictor"}, "spec": pod["spec"]}
        else:
            checked = document
        assert not problems(checked), f"{document['kind']}/{document['metadata']['name']}: {problems(checked)}"


def test_an_unknown_field_is_a_problem() -> None:
    service = one("serving", "Service")
    service["spec"]["sesionAffinity"] = "None"
    assert "sesionAffinity" in problems(service)


def test_every_folder_is_rendered() -> None:
    assert set(WHOLE) == {
        "kserve",
        "overlays/aws",
        "overlays/gpu",
        "overlays/kubeflow-profile",
        "overlays/seaweedfs",
        "serving",
        "tagging",
    }


@each_folder
def test_everything_carries_the_name(folder: str) -> None:
    for document in rendered(folder):
        assert document["metadata"]["labels"]["app.kubernetes.io/name"] == "tofner", document["metadata"]["name"]


# References


@each_pod
def test_what_a_pod_names_is_there(folder: str, key: str) -> None:
    there = {f"{d['kind']}/{d['metadata']['name']}" for d in rendered(folder)}
    there |= USERS_OWN if "overlays" not in folder else {"Secret/tofner-s3", "Secret/mlpipeline-minio-artifact"}
    pod = pods(folder)[key]["spec"]
    named = {f"ServiceAccount/{pod['serviceAccountName']}"}
    for container in pod["containers"]:
        named |= {f"ConfigMap/{s['configMapRef']['name']}" for s in container.get("envFrom", [])}
        named |= {f"Secret/{ref['name']}" for ref in secret_refs(container).values()}
    assert named <= there


def secret_refs(container: Document) -> dict[str, Document]:
    """Variable -> secretKeyRef."""
    sources = {item["name"]: item.get("valueFrom", {}) for item in container["env"]}
    return {name: source["secretKeyRef"] for name, source in sources.items() if "secretKeyRef" in source}


@each_pod
def test_arguments_use_variables_that_are_set(folder: str, key: str) -> None:
    maps = {d["metadata"]["name"]: d["data"] for d in rendered(folder) if d["kind"] == "ConfigMap"}
    (container,) = pods(folder)[key]["spec"]["containers"]
    known = {item["name"] for item in container["env"]}
    known |= {name for s in container.get("envFrom", []) for name in maps.get(s["configMapRef"]["name"], {})}
    used = {name for argument in container["args"] for name in re.findall(r"\$\((\w+)\)", argument)}
    assert used <= known


@each_folder
def test_keys_come_by_reference_alone(folder: str) -> None:
    assert not [d for d in rendered(folder) if d["kind"] == "Secret"]
    for pod in pods(folder).values():
        for item in pod["spec"]["containers"][0]["env"]:
            assert not ("value" in item and re.search(r"(?i)key|secret|token|password", item["name"])), item


def keys_of(folder: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Pod -> variable -> (Secret, entry)."""
    return {
        key: {name: (ref["name"], ref["key"]) for name, ref in secret_refs(pod["spec"]["containers"][0]).items()}
        for key, pod in pods(folder).items()
    }


@pytest.mark.parametrize("folder", ["tagging", "serving", "kserve", "overlays/seaweedfs"])
def test_pods_take_the_keys_that_the_base_makes(folder: str) -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    for key, found in keys_of(folder).items():
        wanted = names[:2] if key == "StatefulSet/tofner-store" else names
        assert found == {name: ("tofner-s3", name) for name in wanted}
    for pod in pods(folder).values():
        refs = secret_refs(pod["spec"]["containers"][0])
        assert {name for name, ref in refs.items() if ref.get("optional")} == {"AWS_SESSION_TOKEN"} & {*refs}


def test_a_profile_has_names_of_its_own_for_the_keys(tmp_path: Path) -> None:
    entries = {
        "AWS_ACCESS_KEY_ID": "accesskey",
        "AWS_SECRET_ACCESS_KEY": "secretkey",
        "AWS_SESSION_TOKEN": "sessiontoken",
    }
    found = keys_of("overlays/kubeflow-profile")
    assert set(found) == {"Deployment/tofner-serve", "Job/tofner-tag", "CronJob/tofner-tag-nightly"}
    for keys in found.values():
        assert keys == {name: ("mlpipeline-minio-artifact", entry) for name, entry in entries.items()}
    # and the names are those of one file
    copied = Path(shutil.copytree(K8S, tmp_path / "k8s", ignore=shutil.ignore_patterns("*.env.example")))
    profile = copied / "overlays" / "kubeflow-profile" / "profile.yaml"
    text = profile.read_text(encoding="utf-8")
    profile.write_text(text.replace(": mlpipeline-minio-artifact", ": mine").replace(": accesskey", ": id"))
    changed = kustomize(profile.parent).stdout
    assert "mlpipeline-minio-artifact" not in changed
    assert changed.count("key: id\n") == len(found)


def test_a_profile_stays_below_its_prefix_and_without_sidecar() -> None:
    folder = "overlays/kubeflow-profile"
    values = [v for d in rendered(folder) if d["kind"] == "ConfigMap" for v in d["data"].values()]
    assert {v.partition("PROFILE/")[0] for v in values if v.startswith("s3://")} == {
        "s3://mlpipeline/private-artifacts/"
    }
    for pod in pods(folder).values():
        assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"


def test_on_aws_pods_have_a_role_and_neither_keys_nor_endpoint() -> None:
    folder = "overlays/aws"
    assert set(itertools.chain(*keys_of(folder).values())) == set()
    assert one(folder, "ConfigMap", "tofner-s3")["data"] == {"AWS_REGION": "eu-central-1"}
    for account in (d for d in rendered(folder) if d["kind"] == "ServiceAccount"):
        name = account["metadata"]["name"]
        role = account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
        assert role == f"arn:aws:iam::111122223333:role/{name}"  # an account number of AWS's own examples


# Network


def policies(folder: str) -> list[Document]:
    return [d["spec"] for d in rendered(folder) if d["kind"] == "NetworkPolicy"]


def selects(selector: Document, labels: dict[str, str]) -> bool:
    """Whether a label selector picks a pod."""
    return all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items()) and all(
        rule["operator"] == "In" and labels.get(rule["key"]) in rule["values"]
        for rule in selector.get("matchExpressions", [])
    )


def open_ports(folder: str, key: str, direction: str) -> set[Any] | None:
    """Ports that policies leave a pod in a direction; None: no policy picks it, so all."""
    labels = pods(folder)[key]["metadata"]["labels"]
    mine = [p for p in policies(folder) if direction in p["policyTypes"] and selects(p["podSelector"], labels)]
    rules = [rule for policy in mine for rule in policy.get(direction.lower(), [])]
    assert all(rule.get("ports") and (rule.get("to") or rule.get("from")) for rule in rules), "a rule for everything"
    return {port["port"] for rule in rules for port in rule["ports"]} if mine else None


@pytest.mark.parametrize("folder", CLOSED)
def test_pods_reach_names_and_the_store_and_are_reached_on_the_serving_port(folder: str) -> None:
    for key in pods(folder):
        served = {"Deployment/tofner-serve": {8080}, "StatefulSet/tofner-store": {8333}}.get(key, set())
        assert open_ports(folder, key, "Ingress") == served, key
        store = set() if key == "StatefulSet/tofner-store" else STORE_PORTS[folder]
        assert open_ports(folder, key, "Egress") == {53} | store, key
    assert one(folder, "NetworkPolicy", "tofner-deny")["spec"].keys() == {"podSelector", "policyTypes"}


def test_aws_opens_no_private_address_but_the_identity_agents() -> None:
    egress = one("overlays/aws", "NetworkPolicy", "tofner-object-store")["spec"]["egress"]
    blocks = [to["ipBlock"] for rule in egress for to in rule["to"]]
    assert blocks[0]["cidr"] == "0.0.0.0/0"
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} == {*blocks[0]["except"]}
    assert [block["cidr"] for block in blocks[1:]] == ["169.254.170.23/32"]


# Serving


def test_the_service_and_its_guards_pick_the_pods() -> None:
    labels = pods("serving")["Deployment/tofner-serve"]["metadata"]["labels"]
    spec = one("serving", "Deployment")["spec"]
    assert selects({"matchLabels": one("serving", "Service")["spec"]["selector"]}, labels)
    assert selects(one("serving", "PodDisruptionBudget")["spec"]["selector"], labels)
    assert selects(spec["selector"], labels)
    assert all(selects(rule["labelSelector"], labels) for rule in spec["template"]["spec"]["topologySpreadConstraints"])
    other = pods("tagging")["Job/tofner-tag"]["metadata"]["labels"]
    assert not selects({"matchLabels": one("serving", "Service")["spec"]["selector"]}, other)


def test_the_autoscaler_has_the_deployment_for_itself() -> None:
    scaler, deployment = one("serving", "HorizontalPodAutoscaler")["spec"], one("serving", "Deployment")
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    assert scaler["minReplicas"] > one("serving", "PodDisruptionBudget")["spec"]["maxUnavailable"]


def test_ports_of_service_container_and_command_are_one() -> None:
    (container,) = pods("serving")["Deployment/tofner-serve"]["spec"]["containers"]
    (port,) = container["ports"]
    assert f"--port={port['containerPort']}" in container["args"]
    assert "--host=0.0.0.0" in container["args"]
    (exposed,) = one("serving", "Service")["spec"]["ports"]
    assert exposed["targetPort"] == port["name"]
    probes = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/ready",
        "readinessProbe": "/ready",
        "livenessProbe": "/health",
    }
    assert {probe["port"] for probe in probes.values()} == {port["name"]}


def test_a_pod_is_given_the_time_that_draining_takes() -> None:
    pod = pods("serving")["Deployment/tofner-serve"]["spec"]
    program, seconds = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    service = serve.Service(None, serve.Limits())  # type: ignore[arg-type]
    graceful = server.configured(serve.create_app(service), service).timeout_graceful_shutdown
    assert program == "sleep"
    assert graceful > service.limits.timeout_s
    assert int(seconds) + int(graceful) < pod["terminationGracePeriodSeconds"]


def test_kserve_runs_the_container_of_the_deployment() -> None:
    (container,) = pods("serving")["Deployment/tofner-serve"]["spec"]["containers"]
    (custom,) = pods("kserve")["InferenceService/tofner"]["spec"]["containers"]
    assert custom["name"] == "kserve-container"
    different = {"name", "envFrom"}
    assert {k: v for k, v in custom.items() if k not in different} == {
        k: v for k, v in container.items() if k not in different
    }


def test_settings_of_tagging_and_serving_change_names_when_they_change(tmp_path: Path) -> None:
    """A ConfigMap with a hash in its name: new settings reach pods by a rolling update, old pods keep theirs."""
    for folder in ("tagging", "serving"):
        name = one(folder, "ConfigMap")["metadata"]["name"]
        copied = Path(shutil.copytree(K8S / folder, tmp_path / folder))
        with (copied / "config.env").open("a") as config:
            config.write("MORE=1\n")
        assert name not in kustomize(copied).stdout


# Limits


def test_the_quota_has_room_for_what_the_overlay_runs() -> None:
    folder = "overlays/seaweedfs"
    hard = one(folder, "ResourceQuota")["spec"]["hard"]
    scaler, serving = one(folder, "HorizontalPodAutoscaler")["spec"], one(folder, "Deployment")["spec"]
    surge = serving["strategy"]["rollingUpdate"]["maxSurge"]
    counts = {
        "Deployment/tofner-serve": scaler["maxReplicas"] + surge,
        "Job/tofner-tag": one(folder, "Job")["spec"]["parallelism"],
        "StatefulSet/tofner-store": 1,
    }
    for resource in ("cpu", "memory", "ephemeral-storage"):
        asked = sum(
            count * amount(pods(folder)[key]["spec"]["containers"][0]["resources"]["requests"][resource])
            for key, count in counts.items()
        )
        assert asked <= amount(hard[f"requests.{resource}"]), resource
    assert sum(counts.values()) <= int(hard["pods"])
    (claim,) = one(folder, "StatefulSet")["spec"]["volumeClaimTemplates"]
    limits = {limit["type"]: limit["max"] for limit in one(folder, "LimitRange")["spec"]["limits"]}
    storage = amount(claim["spec"]["resources"]["requests"]["storage"])
    assert storage <= min(amount(hard["requests.storage"]), amount(limits["PersistentVolumeClaim"]["storage"]))


def test_no_default_limit_is_below_what_pipeline_tasks_ask_for() -> None:
    """A container without a limit gets `default`, or else `max`; a task that asks for more would be refused."""
    from tofner_kubeflow.pipelines.cluster import Cluster

    cluster = Cluster(revision="any")
    (container,) = [
        limit for limit in one("overlays/seaweedfs", "LimitRange")["spec"]["limits"] if limit["type"] == "Container"
    ]
    assert "default" not in container
    assert amount(container["max"]["memory"]) >= 2 * amount(cluster.encoder.memory)
    assert amount(container["max"]["cpu"]) >= amount(cluster.encoder.cpu)


def test_the_gpu_quota_counts_what_the_compiler_asks_for() -> None:
    from tofner_kubeflow.pipelines.cluster import Cluster

    cluster = Cluster(revision="any")
    hard = one("overlays/gpu", "ResourceQuota")["spec"]["hard"]
    assert int(hard[f"requests.{cluster.encoder.resource}"]) >= cluster.encoder.gpus
    assert one("overlays/gpu", "PriorityClass")["preemptionPolicy"] == "Never"


def test_the_namespace_for_trying_out_enforces_the_standard() -> None:
    labels = one("overlays/seaweedfs", "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


# Planted keys


def test_keys_of_the_base_are_in_its_secret_and_nowhere_else(tmp_path: Path) -> None:
    """Planted keys come out of `k8s/base` in the Secret alone, and no other folder takes them up."""
    planted = {"AWS_ACCESS_KEY_ID": "AKIAPLANTEDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "plantedplantedplanted"}
    copied = Path(shutil.copytree(K8S, tmp_path / "k8s"))
    base = copied / "base"
    shutil.copy(base / "config.env.example", base / "config.env")
    (base / "secret.env").write_text("".join(f"{name}={value}\n" for name, value in planted.items()))
    hidden = [needle for value in planted.values() for needle in (value, base64.b64encode(value.encode()).decode())]
    for folder in ["base", *WHOLE]:
        for document in documents(kustomize(copied / folder).stdout):
            if document["kind"] == "Secret":
                assert folder == "base"
                assert {k: base64.b64decode(v).decode() for k, v in document["data"].items()} == planted
            else:
                assert not [needle for needle in hidden if needle in json.dumps(document)]
