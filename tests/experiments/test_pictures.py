"""A figure as a picture, where there is a browser."""

import shutil

import pytest

from experiments import pictures


@pytest.mark.skipif(shutil.which(pictures.BROWSER) is None, reason="no browser")
def test_a_figure_becomes_a_picture(tmp_path):
    import plotly.graph_objects as go

    path = pictures.picture(go.Figure(go.Scatter(y=[1, 3, 2]), {"height": 300}), tmp_path / "one.png", width=400)
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == (400, 300)
