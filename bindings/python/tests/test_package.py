"""The package as it is installed, and what its README says."""

from __future__ import annotations

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
