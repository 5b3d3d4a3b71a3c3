"""Ctrl-C, however early, late or badly timed: a status and no traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cli_helpers import of_a_process

PRESS = "os.kill(os.getpid(), signal.SIGINT)"
MOMENTS = {
    "at once": PRESS,
    "in a destructor": f"class Dying:\n    def __del__(self): {PRESS}\n  one = Dying()\n  del one\n  time.sleep(9)",
    "as another error": f"try:\n    {PRESS}; time.sleep(9)\n  except BaseException: raise KeyboardInterrupt from None",
    "twice, the first one swallowed": f"try:\n    {PRESS}; time.sleep(9)\n  except BaseException: pass\n  {PRESS}; time.sleep(9)",
    "at exit": f"import atexit; atexit.register(lambda: {PRESS})",
    "in a thread's last work": (
        f"import threading\n  threading.Thread(target=lambda: (time.sleep(0.3), {PRESS}, time.sleep(0.2))).start()"
    ),
}


def ended(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*arguments, sys.executable, "-c", code],
        env=of_a_process(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("moment", MOMENTS)
def test_no_moment_shows_a_traceback(moment: str) -> None:
    code = "import os, signal, sys, time\nimport infini_cli.__main__\nfrom infini_cli.stopping import run\n"
    done = ended(f"{code}def main():\n  {MOMENTS[moment]}\n  return 0\nsys.exit(run(main))")
    assert done.returncode in (130, -2) and done.stderr == "", done


def test_an_import_that_is_stopped_halfway_shows_nothing() -> None:
    code = f"""
import os, signal, sys
import infini_cli.__main__ as command
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "{{name}}":
            try:
                {PRESS}
            except KeyboardInterrupt:
                raise {{error}}
sys.meta_path.insert(0, Finder())
sys.argv = ["infini", "schema", "ask"]
sys.exit(command.entry())
"""
    # Before there is anything to catch it, while a command is imported, and turned into something else on the way.
    for name, error in (("infini_cli.app", "SystemExit(9)"), ("infini_cli.commands.schema", "ImportError('half')")):
        done = ended(code.format(name=name, error=error))
        assert done.returncode in (130, -2) and done.stderr == "", done


def test_whoever_has_it_ignored_is_not_asked() -> None:
    code = f"import os, signal, sys\nimport infini_cli.__main__\nfrom infini_cli.stopping import run\ndef main():\n  {PRESS}\n  return 7\nsys.exit(run(main))"
    assert (
        ended(
            f"import signal, os; signal.signal(2, signal.SIG_IGN); os.execv({sys.executable!r}, ['p', '-c', {code!r}])"
        ).returncode
        == 7
    )
