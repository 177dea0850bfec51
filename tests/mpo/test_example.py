"""The example in docs/mpo.md runs and says what it says."""

from __future__ import annotations

import re
from pathlib import Path

from numpy.testing import assert_allclose

PAGE = Path(__file__).parents[2] / "docs" / "mpo.md"


def test_the_example_of_the_page():
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    names: dict[str, object] = {}
    exec(code[1], names)
    solution, answer = names["solution"], names["answer"]
    assert len(solution) == 3
    assert_allclose(answer.x, [-0.5], atol=1e-12)
    assert_allclose(answer.value, -0.125, atol=1e-12)
    assert solution.certify(1000).proven
