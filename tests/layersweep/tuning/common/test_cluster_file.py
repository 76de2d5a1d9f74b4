"""What is read of a cluster's file, what is refused, and how the head is spoken to; and the files that come with it."""

import os
import re
import shlex
import subprocess

import pytest
import yaml
from places import ROOT as PROJECT

from layersweep.tuning.common import ssh_commands
from layersweep.tuning.common.cluster_file import ClusterFile
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.runtime import environment


@pytest.fixture
def content(tmp_path):
    key = tmp_path / "a key"
    key.write_text("")
    return {
        "cluster_name": "pair",
        "provider": {"type": "local", "head_ip": "10.0.0.1", "worker_ips": ["10.0.0.2"]},
        "auth": {"ssh_user": "ubuntu", "ssh_private_key": str(key)},
        "metadata": {"project": "~/my project"},
    }


def read(tmp_path, content) -> ClusterFile:
    path = tmp_path / "cluster.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return ClusterFile.read(path)


def test_what_is_read(tmp_path, content):
    file = read(tmp_path, content)
    assert (file.name, file.worker_addresses) == ("pair", ("10.0.0.2",))
    assert (file.head_address, file.internal_head_address) == ("10.0.0.1", "10.0.0.1")
    assert (file.target, file.key, file.project) == ("ubuntu@10.0.0.1", tmp_path / "a key", "~/my project")


def test_the_head_may_have_another_address_outside(tmp_path, content):
    content["provider"]["external_head_ip"] = "203.0.113.5"
    file = read(tmp_path, content)
    assert (file.target, file.internal_head_address) == ("ubuntu@203.0.113.5", "10.0.0.1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("provider: [", "is not YAML: "),
        ("", "has no keys; valid: a file such as cluster.yaml"),
        ("- a list", "has no keys; valid: a file such as cluster.yaml"),
        ({"auth": {"ssh_user": "a"}}, "has no provider; valid: a file such as cluster.yaml"),
        ({"provider": "local"}, "has no provider; valid: a file such as cluster.yaml"),
        ({"provider": {"type": "local", "head_ip": "10.0.0.1"}}, "has no auth; valid: a file such as cluster.yaml"),
        (
            {"provider": {"type": "aws", "region": "x"}, "auth": {"ssh_user": "a"}},
            "has no provider.head_ip; valid: a cluster of provider `local`",
        ),
        (
            {"provider": {"head_ip": "10.0.0.1"}, "auth": {"ssh_private_key": "k"}},
            "has no auth.ssh_user; valid: the user to log in as on the machines",
        ),
        (
            {"provider": {"head_ip": "10.0.0.1"}, "auth": {"ssh_user": "a", "ssh_private_key": "/no/key"}},
            "auth.ssh_private_key /no/key does not exist; valid: a private key's file",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_is_valid(tmp_path, change, message):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, change)
    assert str(caught.value).startswith(f"--cluster {tmp_path / 'cluster.yaml'}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(UsageError, match=r"none.yaml: No such file or directory; valid: a file such as cluster.yaml"):
        ClusterFile.read(tmp_path / "none.yaml")


def test_a_command_runs_in_a_folder_with_a_space_and_a_quote(tmp_path, content, monkeypatch):
    """What ssh is given to run there is run by a shell here."""
    project = tmp_path / "it's my project"
    project.mkdir()
    content["metadata"]["project"] = f"~/{project.name}"
    *_, command = ssh_commands.ssh(read(tmp_path, content), "pwd; echo $RAY_AUTH_MODE 'a  b'; echo ${PATH%%:*}")
    monkeypatch.setenv("HOME", str(tmp_path))
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert result.stdout == f"{project}\ntoken a  b\n{project}/.venv/bin\n"


def test_a_command_is_not_run_elsewhere_if_the_project_is_not_there(tmp_path, content, monkeypatch):
    *_, command = ssh_commands.ssh(read(tmp_path, content), "echo one; echo two")
    monkeypatch.setenv("HOME", str(tmp_path))
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")


def test_ssh_and_rsync_use_the_key_and_ask_no_password(tmp_path, content):
    file = read(tmp_path, content)
    ssh = ssh_commands.ssh(file, "true")
    assert ssh[ssh.index("-i") + 1] == str(tmp_path / "a key")
    assert "BatchMode=yes" in ssh
    rsync = ssh_commands.rsync(file, "results/", tmp_path, "--delete")
    assert shlex.split(rsync[rsync.index("-e") + 1]) == ["ssh", *ssh_commands.options(file)]
    assert rsync[-3:] == ["--delete", "ubuntu@10.0.0.1:my project/results/", str(tmp_path)]
    assert ssh_commands.rsync(file, "/absolute/results/", tmp_path)[-2] == "ubuntu@10.0.0.1:/absolute/results/"


def test_without_a_key_ssh_chooses(tmp_path, content):
    del content["auth"]["ssh_private_key"]
    assert "-i" not in ssh_commands.ssh(read(tmp_path, content), "true")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("auth", "ssh_user", "-oProxyCommand=touch pwned"),
        ("auth", "ssh_user", "a b"),
        ("auth", "ssh_user", "me@elsewhere"),
        ("provider", "head_ip", "-oProxyCommand=id"),
        ("provider", "external_head_ip", "10.0.0.1\n10.0.0.9"),
        ("provider", "head_ip", "10.0.0.1/../x"),
        ("provider", "worker_ips", ["10.0.0.2", "-v"]),
        (None, "cluster_name", "../../elsewhere"),
        (None, "cluster_name", ".hidden"),
        (None, "cluster_name", "two\nlines"),
    ],
)
def test_words_that_ssh_or_a_path_would_take_for_something_else_are_refused(tmp_path, content, section, key, value):
    (content[section] if section else content)[key] = value
    with pytest.raises(
        UsageError, match=rf"cluster\.yaml: {'' if section is None else section + '.'}{key} .* valid: an? "
    ):
        read(tmp_path, content)


@pytest.mark.parametrize("address", ["10.0.0.1", "head.example.org", "fe80::1%eth0", "::1", "[::1]", "head_1"])
def test_names_and_addresses_of_hosts_are_valid(tmp_path, content, address):
    content["provider"]["head_ip"] = address
    assert read(tmp_path, content).head_address == address


def test_the_host_is_no_option(tmp_path, content):
    *_, end_of_options, target, _command = ssh_commands.ssh(read(tmp_path, content), "true")
    assert (end_of_options, target) == ("--", "ubuntu@10.0.0.1")


INSTALLATION = r"pip\"? install ((?:[\w.=/~-]+(?:[ ]+|\n +(?=[a-z])|(?![\w.=/~-])))+)"
"""The words behind `pip install`, also in the next line."""

FILES = [PROJECT / "cluster.yaml", PROJECT / "clusters" / "aws.yaml", PROJECT / "clusters" / "gcp.yaml"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_files_that_come_with_it_are_valid_for_ray(path):
    from ray.autoscaler._private import util

    content = yaml.safe_load(path.read_text())
    util.validate_config(util.prepare_config(content))
    with pytest.raises(Exception, match="max_workerz"):
        util.validate_config(util.prepare_config(content | {"max_workerz": 1}))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_rays_logs_have_the_same_bound_on_a_cluster_as_on_one_machine(path, monkeypatch):
    names = ("RAY_ROTATION_MAX_BYTES", "RAY_ROTATION_BACKUP_COUNT")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    environment.set_defaults()
    content = yaml.safe_load(path.read_text())
    for kind in ("head", "worker"):
        *_, start = content[f"{kind}_start_ray_commands"]
        assert {f"{name}={os.environ[name]}" for name in names} <= set(start.split())


def test_packages_that_are_not_in_the_lock_file_are_pinned_to_one_version_everywhere():
    texts = [path.read_text() for path in (*FILES, PROJECT / ".ci" / "run")]
    commands = [" ".join(match.split()) for text in texts for match in re.findall(INSTALLATION, text)]
    packages = [word for command in commands for word in command.split() if not word.startswith(("-", "~", "#"))]
    versions = {}
    for package in packages:
        name, version = re.fullmatch(r"([a-z0-9-]+)==([0-9.]+)", package).groups()
        versions.setdefault(name, set()).add(version)
    assert set(versions) == {"uv", "boto3", "google-api-python-client", "google-auth", "cryptography"}
    assert all(len(numbers) == 1 for numbers in versions.values()), versions
    assert len([word for word in packages if word.startswith("uv==")]) == len(texts)


def test_the_line_by_which_ray_checks_host_keys_is_valid_for_ray_and_comes_to_ssh():
    from ray.autoscaler._private import util
    from ray.autoscaler._private.command_runner import SSHOptions

    text = FILES[0].read_text()
    content = yaml.safe_load(text.replace("  # ssh_proxy_command", "  ssh_proxy_command"))
    command = content["auth"]["ssh_proxy_command"]
    assert "StrictHostKeyChecking=yes" in command
    util.validate_config(util.prepare_config(content))
    assert f"ProxyCommand={command}" in SSHOptions(None, ProxyCommand=command).to_ssh_options_list()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_files_that_come_with_it_copy_all_code_and_start_ray_with_a_token(path):
    from layersweep.tuning.doctor.node_facts import CODE

    content = yaml.safe_load(path.read_text())
    mounts, project = content["file_mounts"], content["metadata"]["project"]
    assert {source for source in mounts.values() if (PROJECT / source).is_dir()} == set(CODE)
    assert all(target == f"{project}/{source}" for target, source in mounts.items())
    assert all((PROJECT / source).exists() for source in mounts.values())
    for kind in ("head", "worker"):
        stop, start = content[f"{kind}_start_ray_commands"]
        assert stop == "ray stop"
        assert "RAY_AUTH_MODE=token" in start.split()
    assert "--dashboard-host=127.0.0.1" in content["head_start_ray_commands"][1]
    assert content["cluster_synced_files"] == ["~/.ray/auth_token"]
