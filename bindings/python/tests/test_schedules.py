"""The same inputs give the same bytes as in every other language."""

from __future__ import annotations

from pathlib import Path

import pytest
from schedule import HEADING, Player

FOLDER = Path(__file__).parents[3] / "conformance" / "schedules"
SCHEDULES = sorted(FOLDER.glob("*.txt"))


def test_there_are_schedules() -> None:
    assert SCHEDULES


@pytest.mark.parametrize("file", SCHEDULES, ids=lambda file: file.stem)
def test_a_schedule_is_played_bit_for_bit(file: Path) -> None:
    heading, *lines = file.read_text(encoding="utf-8").splitlines()
    assert heading == HEADING
    player = Player()
    expected: list[str] = []
    came: list[str] = []
    for number, line in enumerate(lines, start=2):
        if line.startswith("> "):
            expected.append(line)
        elif not line.startswith("#"):
            assert came == expected, f"before line {number}"
            came, expected = player.play(line), []
    assert came == expected, "at the end"
    assert len(lines) > 50
