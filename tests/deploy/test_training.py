"""Files of deploy/ for training on a cluster: every worker starts the command that they say."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess

import pytest

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
FILES = (
    "kubernetes.yaml",
    "compose.yaml",
    "training/jobset.yaml",
    "bulk/rayjob.yaml",
    "queue/autoscaler.yaml",
    "queue/adapter.yaml",
)


@pytest.mark.parametrize("name", FILES)
def test_both_readers_of_yaml_agree(name, own_reader):
    yaml = pytest.importorskip("yaml")
    text = (DEPLOY / name).read_text()
    own = [own_reader(part) for part in re.split(r"(?m)^---$", text)]
    assert own == list(yaml.safe_load_all(text))


@pytest.fixture(scope="module")
def jobset(documents) -> dict:
    return next(each for each in documents("training/jobset.yaml") if each["kind"] == "JobSet")


def _job(jobset) -> dict:
    (group,) = jobset["spec"]["replicatedJobs"]
    return group["template"]["spec"]


def _container(jobset) -> dict:
    (container,) = _job(jobset)["template"]["spec"]["containers"]
    return container


def test_every_pod_of_the_set_is_a_worker_under_its_own_name(jobset):
    job, container = _job(jobset), _container(jobset)
    values = {each["name"]: each.get("value") for each in container["env"]}
    (port,) = container["ports"]
    network = jobset["spec"]["network"]
    assert network["enableDNSHostnames"] is True
    name, (group,) = jobset["metadata"]["name"], jobset["spec"]["replicatedJobs"]
    expected = [
        f"{name}-{group['name']}-0-{index}.{network['subdomain']}:{port['containerPort']}"
        for index in range(job["completions"])
    ]
    for index in range(job["completions"]):
        config = json.loads(values["TF_CONFIG"].replace("$(INDEX)", str(index)))
        assert config["cluster"] == {"worker": expected}
        assert config["task"] == {"type": "worker", "index": index}
    assert job["parallelism"] == job["completions"]
    # What a value refers to has to stand before it.
    assert [each["name"] for each in container["env"]] == ["INDEX", "TF_CONFIG"]


def test_pods_are_as_restricted_as_the_namespace_demands_and_write_to_volumes_alone(jobset):
    pod = _job(jobset)["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    container = _container(jobset)
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_workers_alone_may_speak_with_workers(jobset, documents):
    (policy,) = (p for p in documents("training/jobset.yaml") if p["kind"] == "NetworkPolicy")
    labels = _job(jobset)["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"] == labels
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": labels}}]
    (port,) = _container(jobset)["ports"]
    assert rule["ports"] == [{"port": port["containerPort"]}]


def _tool(folder: pathlib.Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text("#!/usr/bin/env bash\n" + text)
    path.chmod(0o755)


def _shell(folder: pathlib.Path, *command, **variables) -> subprocess.CompletedProcess:
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={"PATH": f"{folder}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("begun", [False, True])
def test_a_pod_goes_on_with_a_run_that_is_there(begun, jobset, tmp_path):
    _tool(tmp_path, "tfhific", 'printf "%s\\n" "$@"\n')
    run = tmp_path / "training" / "run"
    run.mkdir(parents=True)
    if begun:
        (run / "config.json").write_text("{}")
    container = _container(jobset)
    script, *rest = container["args"]
    script = script.replace("/training", str(run.parent))
    done = _shell(tmp_path, *container["command"], script, *rest)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[:2] == ["train", f"--run_dir={run}"]
    assert "--strategy=multiworker" in said
    assert ("--resume" in said) is begun


@pytest.mark.parametrize("begun", [False, True])
def test_a_slurm_job_starts_one_worker_a_node_with_its_number(begun, tmp_path):
    # In the place of Slurm's programs: one lists the nodes, the other starts a task on each.
    _tool(tmp_path, "scontrol", '[ "$*" = "show hostnames n[1-2]" ] && printf "n1\\nn2\\n"\n')
    _tool(tmp_path, "tfhific", 'printf "%s\\n" "$TF_CONFIG" "$@"\n')
    _tool(
        tmp_path,
        "srun",
        'while [[ $1 == --* ]]; do shift; done\nfor n in 0 1; do SLURM_PROCID=$n "$@"; done\n',
    )
    (tmp_path / "my run").mkdir()
    if begun:
        (tmp_path / "my run" / "config.json").write_text("{}")
    script = DEPLOY / "training" / "train.sbatch"
    arguments = ["my run", "--data=two words", "--steps=9"]
    done = _shell(tmp_path, "bash", script, *arguments, SLURM_JOB_NODELIST="n[1-2]")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    half = len(said) // 2
    for index, lines in enumerate((said[:half], said[half:])):
        config = json.loads(lines[0])
        assert config["cluster"] == {"worker": ["n1:22222", "n2:22222"]}
        assert config["task"] == {"type": "worker", "index": index}
        resumed = ["--resume"] if begun else []
        assert lines[1:] == [
            "train", "--run_dir=my run", "--strategy=multiworker", *resumed, *arguments[1:]
        ]  # fmt: skip


def test_a_slurm_job_without_a_run_says_what_it_expects(tmp_path):
    done = _shell(tmp_path, "bash", DEPLOY / "training" / "train.sbatch")
    assert done.returncode == 1
    assert done.stderr.startswith("error: expected the run's folder")


def test_images_are_built_on_a_base_that_the_builder_names_and_run_without_root():
    lines = (DEPLOY / "containers" / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert set(bases) == {"${BASE}"}
    assert "ARG BASE" in lines
    stages = "\n".join(lines).split("FROM ")[1:]
    shipped = [each for each in stages if not each.partition("\n")[0].endswith("installed")]
    assert len(shipped) == 2
    for stage in shipped:
        assert re.search(r"^USER 10001:10001$", stage, re.MULTILINE)
        assert re.search(r"^HEALTHCHECK ", stage, re.MULTILINE)
