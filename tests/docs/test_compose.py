"""docker-compose.yml and the Dockerfile name only what is there. There is no Docker engine to run them."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from cli_page import commands
from compose_yaml import NotReadError, read
from pages import ROOT

from stream_durable.sdk.durations import milliseconds
from stream_durable.settings import ENVIRONMENT_PREFIX, Settings, check_safety

COMPOSE: dict[str, Any] = read((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "stream-durable" in service["image"]}
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def called(service: dict[str, Any]) -> list[list[str]]:
    """Return the arguments of each call of our command line that a service makes."""
    command = service["command"]
    if "entrypoint" not in service:
        return [command]
    return [shlex.split(part)[1:] for part in command[0].split(";")]


def test_the_services_are_those_of_the_documents() -> None:
    assert set(OURS) == {"setup", "reconciler", "ingress", "worker"}
    assert set(SERVICES) - set(OURS) == {"kafka", "postgres"}
    for name in ("reconciler", "worker"):
        assert OURS[name]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", OURS)
def test_its_commands_exist(name: str) -> None:
    known = commands()
    for arguments in called(OURS[name]):
        assert arguments[0] in known or " ".join(arguments[:2]) in known, arguments


@pytest.mark.parametrize("name", OURS)
def test_its_environment_is_one_that_start_up_accepts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment: dict[str, str] = OURS[name]["environment"]
    assert all(variable.startswith(ENVIRONMENT_PREFIX) for variable in environment)
    for variable, value in environment.items():
        assert isinstance(value, str), f"{variable} needs quotes"
        monkeypatch.setenv(variable, value)
    settings = Settings.load()
    check_safety(settings)
    assert settings.kafka.bootstrap == "kafka:9092"
    assert settings.health.port == 8080
    if name != "setup":
        grace_ms = milliseconds(OURS[name]["stop_grace_period"])
        assert settings.worker.drain_ms < grace_ms, "a worker would be killed while it drains"


def test_only_those_that_need_the_database_can_reach_it() -> None:
    with_database = {n for n, s in OURS.items() if "STREAM_DURABLE_POSTGRES__DSN" in s["environment"]}
    assert with_database == {"setup", "reconciler"}


def test_services_start_in_order_and_say_how_they_are() -> None:
    for name, service in OURS.items():
        for other, how in service["depends_on"].items():
            assert other in SERVICES, f"{name} depends on {other}"
            is_once = SERVICES[other].get("restart") == "no"
            expected = "service_completed_successfully" if is_once else "service_healthy"
            assert how == {"condition": expected}
    for name, service in SERVICES.items():
        if name != "setup":
            assert service["healthcheck"]["test"][0] == "CMD", f"{name} has no health check"


def test_images_are_pinned_and_ports_are_on_loopback() -> None:
    for name, service in SERVICES.items():
        _, _, tag = service["image"].rpartition(":")
        assert re.match(r"\d+\.\d+", tag), f"{name}: {service['image']}"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_volumes_and_files_exist() -> None:
    named = set(COMPOSE["volumes"])
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).is_dir() if source.startswith(".") else source in named
    assert (ROOT / SERVICES["worker"]["build"]["dockerfile"]).is_file()


def test_the_image_has_what_it_copies_and_is_run_by_nobody() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for sources in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored, f"{source} is not in the build's context"
    assert re.search(r"^USER \d+$", DOCKERFILE, re.MULTILINE)
    assert ":latest" not in DOCKERFILE
    script = SERVICES["worker"]["healthcheck"]["test"][-1]
    assert f"COPY deploy/ready.py {script}" in DOCKERFILE


@pytest.mark.parametrize("text", ["a: {b: 1}", "a: 1\na: 2", "- a: 1", "a: |\n  b"])
def test_what_the_reader_does_not_know_it_refuses(text: str) -> None:
    with pytest.raises((NotReadError, KeyError)):
        read(text)
