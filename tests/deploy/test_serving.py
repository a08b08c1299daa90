"""Files of deploy/: well formed, and in agreement with each other."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess

import pytest

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"


@pytest.fixture(scope="module")
def kubernetes(documents) -> dict[str, dict]:
    return {document["kind"]: document for document in documents("kubernetes.yaml")}


def test_the_deployment_is_what_service_and_autoscaler_mean(kubernetes):
    assert set(kubernetes) == {
        "Namespace",
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
    }
    deployment = kubernetes["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert kubernetes["Service"]["spec"]["selector"] == labels
    target = kubernetes["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])


def test_a_pod_is_as_restricted_as_its_namespace_demands(kubernetes):
    namespace = kubernetes["Namespace"]["metadata"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for kind, document in kubernetes.items():
        if kind != "Namespace":
            assert document["metadata"]["namespace"] == namespace["name"], kind
    pod = kubernetes["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] >= 10000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_network_policy_is_about_the_deployments_pods_and_ports(kubernetes):
    template = kubernetes["Deployment"]["spec"]["template"]
    policy = kubernetes["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == template["metadata"]["labels"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy
    names = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
    for rule in policy["ingress"]:
        assert rule["from"]
        assert {port["port"] for port in rule["ports"]} <= names


def test_compose_opens_its_ports_to_this_machine_only_and_runs_without_rights(
    kubernetes, documents
):
    (compose,) = documents("compose.yaml")
    service = compose["services"]["serving"]
    assert len(service["ports"]) == 2
    for port in service["ports"]:
        assert re.fullmatch(r"\$\{ADDRESS:-127\.0\.0\.1\}:(\d+):\1", port)
    context = kubernetes["Deployment"]["spec"]["template"]["spec"]["securityContext"]
    assert service["user"] == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize(
    ("name", "framework", "least", "answered"),
    [
        ("kubernetes.yaml", "kubernetes", 50, "CKV_K8S_43"),
        ("containers/Dockerfile", "dockerfile", 10, "CKV_DOCKER_7"),
    ],
)
def test_checkov_has_no_finding_that_is_not_answered(name, framework, least, answered):
    program = shutil.which("checkov")
    if program is None:
        pytest.skip("needs checkov, which is not installed")
    command = [program, "-f", str(DEPLOY / name), f"--framework={framework}", "-o=json"]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    report = json.loads(done.stdout)
    assert report["results"]["failed_checks"] == []
    assert report["summary"]["passed"] > least
    assert [check["check_id"] for check in report["results"]["skipped_checks"]] == [answered]


def test_a_pod_is_ready_when_the_model_is(kubernetes):
    (container,) = kubernetes["Deployment"]["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert f"--port={ports['grpc']}" in container["args"]
    assert f"--rest_api_port={ports['rest']}" in container["args"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/v1/models/mini", "port": "rest"}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    volumes = kubernetes["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert mounted == {volume["name"] for volume in volumes}


def test_compose_mounts_what_it_names(kubernetes, documents):
    (compose,) = documents("compose.yaml")
    service = compose["services"]["serving"]
    (container,) = kubernetes["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert service["image"] == container["image"]
    assert service["command"] == container["args"]
    mounts = {volume.split(":")[-2]: volume for volume in service["volumes"]}
    for argument in service["command"]:
        if "/config/" in argument:
            path = argument.split("=")[1]
            assert path in mounts
            assert (DEPLOY / pathlib.Path(path).name).is_file()


def test_metrics_are_where_the_deployment_says(kubernetes):
    text = re.sub(r"#.*", "", (DEPLOY / "monitoring.config").read_text())
    found = re.fullmatch(r'\s*prometheus_config \{\s*enable: true\s*path: "(\S+)"\s*\}\s*', text)
    template = kubernetes["Deployment"]["spec"]["template"]["metadata"]
    assert template["annotations"]["prometheus.io/path"] == found[1]


def test_the_autoscaler_by_the_queue_is_the_other_one_and_a_batchs_length_more(
    kubernetes, documents
):
    (queue,) = documents("queue/autoscaler.yaml")
    usual = kubernetes["HorizontalPodAutoscaler"]
    assert queue["metadata"] == usual["metadata"]
    processor, waiting = queue["spec"].pop("metrics")
    assert usual["spec"]["metrics"] == [processor]
    assert {**queue["spec"], "metrics": [processor]} == usual["spec"]
    (values,) = documents("queue/adapter.yaml")
    (rule,) = values["rules"]["custom"]
    assert waiting["pods"]["metric"]["name"] == rule["name"]["as"]
    batching = (DEPLOY / "batching.config").read_text()
    size = re.search(r"max_batch_size \{ value: (\d+) \}", batching)[1]
    assert waiting["pods"]["target"] == {"type": "AverageValue", "averageValue": size}


def test_the_models_configuration_is_the_servers_message():
    pytest.importorskip("tensorflow_serving")
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    text = (DEPLOY / "models.config").read_text()
    models = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    assert models.model_config_list.config[0].base_path == "/models/mini"


def test_batching_parameters_are_known_ones():
    text = re.sub(r"#.*", "", (DEPLOY / "batching.config").read_text())
    found = dict(re.findall(r"(\w+) \{ value: (\d+) \}", text))
    assert set(found) == {
        "max_batch_size",
        "batch_timeout_micros",
        "max_enqueued_batches",
        "num_batch_threads",
    }
    assert not re.sub(r"\w+ \{ value: \d+ \}", "", text).strip()
