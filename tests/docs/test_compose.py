"""What docker-compose.yml and the Dockerfile promise: secrets are asked for, and only the server can be reached."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cli.main import cli
from server.settings import Settings
from tests.support.examples import HOME

FILE = HOME / "docker-compose.yml"
SECRETS = ("NEO4J_PASSWORD", "REDIS_PASSWORD", "WEAVIATE_API_KEY")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of the file, as they stand there."""
    return dict(yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"])


@pytest.fixture(scope="module")
def compose() -> list[str]:
    """The command that reads such a file, of either generation; it needs no engine for that."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]) and not subprocess.run([*words, "version"], capture_output=True).returncode:
            return words
    pytest.fail("neither `docker compose` nor `docker-compose` is installed")


def read(compose: list[str], folder: Path, **secrets: str) -> subprocess.CompletedProcess[str]:
    """What the command says about the file with these secrets."""
    (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    words = [*compose, "--file", str(FILE), "--env-file", str(folder / "env"), "config", "--quiet"]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.docker
def test_it_can_be_read(compose: list[str], tmp_path: Path) -> None:
    done = read(compose, tmp_path, **dict.fromkeys(SECRETS, "secret"))
    assert done.returncode == 0, done.stderr


@pytest.mark.docker
@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_has_a_default(compose: list[str], tmp_path: Path, name: str) -> None:
    done = read(compose, tmp_path, **{**dict.fromkeys(SECRETS, "secret"), name: ""})
    assert done.returncode != 0
    assert f"{name} is not set, see .env.example" in done.stderr


def test_the_example_names_every_variable_and_no_secret() -> None:
    example = (HOME / ".env.example").read_text(encoding="utf-8")
    told = dict(re.findall(r"^#?([A-Z0-9_]+)=(.*)$", example, re.MULTILINE))
    assert told == {**dict.fromkeys(SECRETS, ""), "API_PORT": "8000"}
    assert set(re.findall(r"\$\{(\w+)", FILE.read_text(encoding="utf-8"))) == set(told)


def test_only_the_server_can_be_reached_and_only_from_this_machine(services: dict[str, Any]) -> None:
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert published == {"api": ["127.0.0.1:${API_PORT:-8000}:8000"]}
    assert not [name for name, one in services.items() if {"network_mode", "privileged"} & one.keys()]


def test_every_service_is_watched_and_the_server_waits_for_the_others(services: dict[str, Any]) -> None:
    others = services.keys() - {"api"}
    assert services["api"]["depends_on"] == {name: {"condition": "service_healthy"} for name in others}
    assert services.keys() == {name for name, one in services.items() if "healthcheck" in one}
    assert "/readyz" in services["api"]["healthcheck"]["test"][-1], "without its store the server is not well"
    assert all(one["restart"] == "unless-stopped" and "mem_limit" in one for one in services.values())
    assert "HEALTHCHECK" in (HOME / "Dockerfile").read_text(encoding="utf-8")


def test_every_service_has_bounds(services: dict[str, Any]) -> None:
    for name, one in services.items():
        assert "no-new-privileges:true" in one["security_opt"], name
        assert int(one["logging"]["options"]["max-file"]) * int(one["logging"]["options"]["max-size"][:-1]) <= 50, name
    assert all(services[name]["ulimits"]["nofile"] >= 65536 for name in ("api", "neo4j", "weaviate"))
    assert "retention__policy" in " ".join(services["neo4j"]["environment"])


def test_images_are_of_exact_versions(services: dict[str, Any]) -> None:
    images = {name: one["image"] for name, one in services.items() if name != "api"}
    assert all(re.search(r":\d+\.\d+\.\d+|@sha256:", image) for image in images.values()), images
    bases = re.findall(r"^FROM (\S+)", (HOME / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert bases
    assert all(re.search(r":\d+\.\d+\.\d+|@sha256:", base) for base in bases), bases


def test_every_setting_in_it_is_one_of_the_server(services: dict[str, Any]) -> None:
    options = [one for command in cli.commands.values() for one in command.params if isinstance(one, click.Option)]
    settings = {f"RECOLLECT_{name.upper()}" for name in Settings.__struct_fields__}
    settings |= {str(one.envvar) for one in options if one.envvar}
    given = {name for one in services.values() for name in one.get("environment", ())}
    given |= set(re.findall(r"\b(RECOLLECT_\w+)=", (HOME / "Dockerfile").read_text(encoding="utf-8")))
    assert {name for name in given if name.startswith("RECOLLECT_")} <= settings


def test_the_image_runs_as_no_root_and_holds_every_package() -> None:
    lines = (HOME / "Dockerfile").read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("root", "0")
    copied = {line.split()[1] for line in lines if re.fullmatch(r"COPY (\w+) \1", line)}
    kept = {line[1:] for line in (HOME / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[0] == "!"}
    project = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert packages == {path.parent.name for path in HOME.glob("*/__init__.py")} - {"bench"}
    packages.add("web")  # of which the build makes the console
    assert copied == packages
    assert kept == packages | {"pyproject.toml", "README.md", "LICENSE", "hatch_build.py"}
