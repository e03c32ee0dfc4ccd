"""The package as it is installed, and what its README says."""

from __future__ import annotations

import ast
import asyncio
import importlib.metadata
import importlib.resources
import re
from pathlib import Path

import frazil

README = Path(__file__).parents[1] / "README.md"


def test_one_version() -> None:
    assert importlib.metadata.version("frazil") == frazil.__version__ == frazil._core.version()


def test_it_is_the_installed_package_that_is_tested() -> None:
    assert "site-packages" in str(frazil.__file__)


def test_types_and_licences_come_with_it() -> None:
    files = importlib.resources.files(frazil)
    assert files.joinpath("py.typed").is_file()
    assert files.joinpath("_core.pyi").is_file()
    licences = [path.name for path in importlib.metadata.files("frazil") or [] if "LICENSE" in path.name]
    assert sorted(licences) == ["LICENSE-APACHE", "LICENSE-MIT"]


async def test_what_the_readme_shows_works() -> None:
    """Its snippets belong together, and `main` is what they come to."""
    snippets = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(snippets) >= 2
    for snippet in snippets:
        names: dict[str, object] = {"__name__": "readme"}
        exec(compile(snippet, str(README), "exec"), names)
        main = names["main"]
        assert callable(main)
        await asyncio.wait_for(main(), 60)


def test_the_stub_says_what_the_classes_say() -> None:
    """`stubtest` compares names and arguments; this compares the texts."""

    def words(text: str | None) -> list[str]:
        return (text or "").split()

    stub = ast.parse(importlib.resources.files(frazil).joinpath("_core.pyi").read_text(encoding="utf-8"))
    seen = 0
    for item in stub.body:
        if not isinstance(item, ast.ClassDef | ast.FunctionDef):
            continue
        value = getattr(frazil._core, item.name)
        assert words(value.__doc__) == words(ast.get_docstring(item)), item.name
        members = item.body if isinstance(item, ast.ClassDef) else []
        for member in members:
            if isinstance(member, ast.FunctionDef) and not member.name.startswith("__"):
                documentation = getattr(value, member.name).__doc__
                assert words(documentation) == words(ast.get_docstring(member)), f"{item.name}.{member.name}"
                seen += 1
    assert seen > 100
