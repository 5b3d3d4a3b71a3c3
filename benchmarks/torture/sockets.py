"""Reading, asking and summarising where no socket can be made: not by Python, not by a library, not by a child process."""

from __future__ import annotations

import ctypes
import platform
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.torture import document_kinds
from benchmarks.torture.commands import infini, prepare
from benchmarks.torture.results import Result

_NO_NEW_PRIVILEGES, _SET_FILTER, _FILTER_MODE = 38, 22, 2
# By machine: the kernel's number of the architecture, and of the call that makes a socket.
_CALLS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def forbid() -> None:
    """Let the system refuse every socket, in this process and all that it starts; and Python say so first.

    Raises:
        OSError: The system does not do that.
    """

    def heard(event: str, arguments: Any) -> None:
        if event.startswith("socket.") and event != "socket.gethostname":
            raise PermissionError(f"{event} is forbidden here")

    architecture, call = _CALLS[platform.machine()]
    allow, refuse = 0x7FFF0000, 0x00050000 | 1
    steps = (
        (0x20, 0, 0, 4),  # Load the architecture.
        (0x15, 0, 2, architecture),  # If it is another one, allow.
        (0x20, 0, 0, 0),  # Load the number of the call.
        (0x15, 1, 0, call),  # If it makes a socket, refuse.
        (0x06, 0, 0, allow),
        (0x06, 0, 0, refuse),
    )
    program = _Program(len(steps), b"".join(struct.pack("HBBI", *step) for step in steps))
    system = ctypes.CDLL(None, use_errno=True)
    for call_of in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_FILTER, _FILTER_MODE, ctypes.byref(program), 0, 0)):
        if system.prctl(*call_of) != 0:
            raise OSError(ctypes.get_errno(), "sockets cannot be forbidden here")
    sys.addaudithook(heard)


def _forbidden_for_sure() -> None:
    forbid()
    try:
        socket.socket()
    except PermissionError:
        pass
    else:
        raise AssertionError("a socket could be made")
    tried = subprocess.run([sys.executable, "-c", "import socket; socket.socket()"], capture_output=True, check=False)
    assert b"PermissionError" in tried.stderr, "a child process could make a socket"


def run(folder: Path, count: int, seed: int) -> Result:
    """Run commands on so many kinds of documents."""
    prepare(folder)
    log = folder / "log"
    result = Result("sockets", 0, "commands with sockets forbidden")
    for ending, (data, *_) in list(document_kinds.corpus().items())[:count]:
        document, state = folder / f"book{ending}", folder / f"{ending[1:]}.pt"
        document.write_bytes(data)
        for arguments in (
            ["read", str(document), "-o", str(state)],
            ["ask", "Who came?", "--memory", str(state), "--max-tokens", "4"],
            ["ask", "Who came?", "-f", str(document), "--max-tokens", "4"],
            ["summarize", str(document), "--length", "10"],
            ["summarize", "--memory", str(state), "--length", "10"],
        ):
            ended = infini(arguments, log, first=_forbidden_for_sure)
            result.tried += 1
            if ended.code != 0 or "forbidden" in log.read_text():
                result.faults.append(f"{' '.join(arguments)}: exit {ended.code}: {log.read_text()[-800:]}")
    result.figures["sockets made"] = 0 if not result.faults else len(result.faults)
    return result
