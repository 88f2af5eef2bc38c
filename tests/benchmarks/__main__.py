"""Run benchmarks one after the other: tables to the terminal, JSON and Markdown to files.

Run ``python -m tests.benchmarks [NAME ...] [--json FILE] [--markdown FILE]``; NAME is that of a
file, such as ``extract`` for ``bench_extract.py``. Without a name all run that take minutes; those
that take longer, ``networks``, ``precision`` and ``scale``, run where they are named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import ROOT
from tests.benchmarks.report import Table, described

NAMES = tuple(
    sorted(p.stem.removeprefix("bench_") for p in Path(__file__).parent.glob("bench_*.py"))
)
LONG = ("networks", "precision", "scale")


def run(name: str, folder: Path) -> dict[str, Any]:
    """What a benchmark writes as JSON, or, where it writes none, what it prints."""
    module, file = f"tests.benchmarks.bench_{name}", folder / f"{name}.json"
    command = [sys.executable, "-m", module]
    takes_json = "report.main(" in (Path(__file__).parent / f"bench_{name}.py").read_text()
    if takes_json:
        command += ["--json", str(file)]
    printed = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            printed += line
    found: dict[str, Any] = {"benchmark": name, "printed": printed}
    if takes_json and process.returncode == 0:
        found = json.loads(file.read_text(encoding="utf-8"))
    return {**found, "exit_code": process.returncode}


def markdown(found: dict[str, Any]) -> str:
    """A section of the README."""
    title = f"## bench_{found['benchmark']}.py"
    if "tables" not in found:
        return f"{title}\n\n```text\n{found['printed'].rstrip()}\n```"
    tables = [
        Table(t["title"], tuple(t["columns"]), tuple(map(tuple, t["rows"])), t["note"]).markdown()
        for t in found["tables"]
    ]
    return "\n\n".join([title, described(found["machine"]) + ".", *tables])


def main() -> int:
    """Run, and write what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.description = (__doc__ or "").splitlines()[0]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.names or [name for name in NAMES if name not in LONG]:
            print(f"\n== {name} ==\n", flush=True)
            found.append(run(name, Path(folder)))
            # After each: what was measured stays if a later one is stopped.
            if chosen.json:
                chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
            if chosen.markdown:
                text = "\n\n".join(map(markdown, found))
                chosen.markdown.write_text(f"{text}\n", encoding="utf-8")
    return max((one["exit_code"] for one in found), default=0)


if __name__ == "__main__":
    sys.exit(main())
