"""The peer: Cerbos, from the npm package of that name, with a policy that says the same as ours.

It is installed on first use into var/peers, which is never committed. The part of its API that is called is described
in cerbos/api.proto and compiled when a benchmark runs.
"""

from __future__ import annotations

import platform
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from benchmarks.processes import ROOT, SERVER_CORE, Server, free_port, listening
from benchmarks.workload import Question

VERSION: Final = "0.51.0"
PATH: Final = "/cerbos.svc.v1.CerbosService/CheckResources"
RESOURCES_A_CALL: Final = 50
"""What it takes by default, and so the size of its batches."""
_HERE: Final = Path(__file__).parent / "cerbos"
_INSTALLED: Final = ROOT / "var" / "peers"
_ALLOW: Final = 1


def binary() -> Path:
    """The peer's program, installed first where it is missing. Raises RuntimeError when npm cannot."""
    system, machine = platform.system().lower(), {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    name = f"cerbos-{system}-{machine}"
    path = _INSTALLED / "node_modules" / "@cerbos" / name / name
    if not path.exists():
        _INSTALLED.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-fund", "--no-audit", "--prefix", str(_INSTALLED), f"cerbos@{VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not path.exists():
            raise RuntimeError(f"cerbos {VERSION} cannot be installed:\n{done.stdout}{done.stderr}")
    return path


@contextmanager
def running(folder: Path, *, unix: bool, core: int = SERVER_CORE) -> Iterator[tuple[str, Server]]:
    """The peer on one core, with nothing audited; gives its target and its process."""
    name = "unix" if unix else "tcp"
    target = f"unix:{folder}/cerbos.sock" if unix else f"127.0.0.1:{free_port()}"
    env = {
        "GOMAXPROCS": "1",
        "CERBOS_NO_TELEMETRY": "1",
        "GRPC_ADDRESS": target,
        "HTTP_ADDRESS": f"unix:{folder}/cerbos-http.sock" if unix else f"127.0.0.1:{free_port()}",
        "POLICIES": str(_HERE / "policies"),
    }
    command = [str(binary()), "server", "--log-level=error", f"--config={_HERE / 'server.yaml'}"]
    server = Server(command, env=env, log=folder / f"cerbos-{name}.log", core=core)
    try:
        server.wait_until(lambda: listening(target))
        yield target, server
    finally:
        server.stop()


@cache
def _messages() -> dict[str, type[Message]]:
    from grpc_tools import protoc

    with tempfile.NamedTemporaryFile() as out:
        include = str(Path(protoc.__file__).parent / "_proto")
        arguments = ["protoc", f"-I{_HERE}", f"-I{include}", "--include_imports", f"-o{out.name}", "api.proto"]
        if protoc.main(arguments):
            raise RuntimeError(f"{_HERE / 'api.proto'} cannot be compiled")
        files = descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"benchmarks.cerbos.{name}"))
        for name in ("CheckResourcesRequest", "CheckResourcesResponse")
    }


def encode(questions: Sequence[Question]) -> bytes:
    """A request that asks all of them, as bytes: each with the facts its rules read, and no others."""
    request: Any = _messages()["CheckResourcesRequest"]()
    request.principal.id = "desking"
    request.principal.roles.append("service")
    for question in questions:
        entry = request.resources.add(actions=[question.action])
        entry.resource.kind = "entitlement"
        entry.resource.id = question.resource_id
        for name, value in question.facts.items():
            slot = entry.resource.attr[name]
            if isinstance(value, bool):
                slot.bool_value = value
            elif isinstance(value, str):
                slot.string_value = value
            else:
                slot.number_value = value
    return request.SerializeToString(deterministic=True)  # type: ignore[no-any-return]


def allowed(answer: bytes) -> list[bool]:
    """Whether each question was allowed, in order."""
    response: Any = _messages()["CheckResourcesResponse"].FromString(answer)
    return [next(iter(result.actions.values())) == _ALLOW for result in response.results]
