"""Files of deploy/ for bulk on a cluster: pods without rights, one image, a command that runs."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rayjob(documents) -> dict:
    return next(each for each in documents("bulk/rayjob.yaml") if each["kind"] == "RayJob")


@pytest.fixture(scope="module")
def policy(documents) -> dict:
    return next(each for each in documents("bulk/rayjob.yaml") if each["kind"] == "NetworkPolicy")


@pytest.fixture(scope="module")
def templates(rayjob) -> dict[str, dict]:
    """Of the head and the workers."""
    cluster = rayjob["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    return {"head": cluster["headGroupSpec"]["template"], "workers": workers["template"]}


def container_of(template: dict) -> dict:
    (container,) = template["spec"]["containers"]
    return container


@pytest.mark.parametrize("name", ["head", "workers"])
def test_pods_are_as_restricted_as_the_namespace_demands_and_write_to_volumes_alone(
    templates, name
):
    pod, container = templates[name]["spec"], container_of(templates[name])
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] >= 10000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {each["name"] for each in container["volumeMounts"]} == {
        each["name"] for each in pod["volumes"]
    }
    assert set(container["resources"]) == {"requests", "limits"}
    ports = {port["name"] for port in container["ports"]}
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports


def test_head_and_workers_have_one_image_and_see_the_same_pictures(templates):
    head, workers = container_of(templates["head"]), container_of(templates["workers"])
    assert head["image"] == workers["image"]
    assert head["volumeMounts"] == workers["volumeMounts"]
    assert templates["head"]["spec"]["volumes"] == templates["workers"]["spec"]["volumes"]


def test_every_worker_pod_has_cores_for_whole_workers_and_the_head_for_none(rayjob, templates):
    cores = int(re.search(r"--cores=(\d+)", rayjob["spec"]["entrypoint"])[1])
    resources = container_of(templates["workers"])["resources"]
    assert int(resources["limits"]["cpu"]) % cores == 0
    assert resources["requests"]["cpu"] == resources["limits"]["cpu"]
    cluster = rayjob["spec"]["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (group,) = cluster["workerGroupSpecs"]
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"]


def test_pods_of_the_job_and_the_operator_alone_may_speak_with_them(policy, templates):
    labels = {"app": "tfhific-bulk"}
    for template in templates.values():
        assert template["metadata"]["labels"] == labels
    assert policy["spec"]["podSelector"]["matchLabels"] == labels
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    own, operator = policy["spec"]["ingress"]
    assert own == {"from": [{"podSelector": {"matchLabels": labels}}]}
    ports = {
        each["name"]: each["containerPort"] for each in container_of(templates["head"])["ports"]
    }
    assert operator["ports"] == [{"port": ports["dashboard"]}]
    assert all(rule["podSelector"] for rule in operator["from"])


def test_versions_are_those_that_the_tests_run(rayjob):
    def pins(name: str) -> dict[str, str]:
        lines = (ROOT / name).read_text().splitlines()
        found = (re.match(r"([\w-]+)(?:\[\w+\])?==([\w.]+)", line) for line in lines)
        return {match[1].lower(): match[2] for match in found if match}

    tested = {
        **pins("requirements.txt"),
        **pins("requirements-bulk.txt"),
        **pins("requirements-s3.txt"),
    }
    wanted, locked = pins("requirements-bulk-image.txt"), pins("requirements-locked-bulk-3.11.txt")
    assert wanted.items() <= tested.items()
    assert wanted.items() <= locked.items()
    assert rayjob["spec"]["rayClusterSpec"]["rayVersion"] == tested["ray"]


def test_the_jobs_command_is_one_that_bulk_takes(rayjob, run_python, tmp_path):
    for name in ("ray", "pyarrow", "fsspec"):
        pytest.importorskip(name, reason="needs requirements-bulk.txt")
    (tmp_path / "in").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "in" / "a.png")
    program, *arguments = shlex.split(rayjob["spec"]["entrypoint"])
    assert program == "tfhific"
    arguments = [each.replace("/pictures", str(tmp_path)) for each in arguments]
    done = run_python("-m", "tfhific", *arguments, "--dry_run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines() == [
        f"{tmp_path}/in/a.png -> {tmp_path}/out/a.tfh: made",
        "1 to do, 0 done, 0 skipped, 0 failed",
    ]


def pods_of(templates: dict[str, dict]) -> list[dict]:
    """Plain pods, which checkers know."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "tfhific", **template["metadata"]},
            "spec": template["spec"],
        }
        for name, template in templates.items()
    ]


def test_checkov_has_no_finding_on_the_pods_that_is_not_answered(templates, policy, tmp_path):
    program = shutil.which("checkov")
    if program is None:
        pytest.skip("needs checkov, which is not installed")
    path = tmp_path / "pods.json"
    items = [*pods_of(templates), policy]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    command = [program, "-f", str(path), "--framework=kubernetes", "-o=json"]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    report = json.loads(done.stdout)
    # Whoever builds the image writes its digest into the file.
    assert {each["check_id"] for each in report["results"]["failed_checks"]} == {"CKV_K8S_43"}
    assert report["summary"]["passed"] > 100


def test_the_pods_are_ones_that_kubernetes_takes(templates, policy, tmp_path):
    program = shutil.which("kubernetes-validate")
    if program is None:
        pytest.skip("needs kubernetes-validate, which is not installed")
    for number, document in enumerate([*pods_of(templates), policy]):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(document))
        done = subprocess.run([program, "--strict", path], capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
