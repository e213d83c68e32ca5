"""The report of `gpugrad bench`, opened in a browser, and its pictures."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_tools import made_up, row
from chromium import Page, chromium, find_chromium

from gpugrad.bench.report import page, write_report

PLOTS = (
    "times-add",
    "times-matmul",
    "speed-cpu",
    "speed-cuda",
    "roofline-cpu",
    "roofline-cuda",
    "devices",
    "curves-mlp",
)


def results() -> dict[str, Any]:
    """Two cases on both devices beside two peers, one of them wrong once, and curves."""
    rows = []
    for case, flops in (("add", 1.0), ("matmul", 500.0)):
        for n in (1000, 100_000, 10_000_000):
            for peer, factor in (("gpugrad", 1.0), ("torch", 1.3), ("torch.compile", 0.8)):
                cpu = row(case, n, "cpu", peer, factor * (1e-6 + 1e-9 * n), flops=flops * n)
                gpu = row(
                    case, n, "cuda", peer, factor * (2e-5 + 1e-11 * n), flops=flops * n, device_ratio=cpu["seconds"]
                )
                for found in (cpu, gpu):
                    rows.append(
                        found if peer == "gpugrad" else found | {"ratio": row("", 1, "", "", factor)["seconds"]}
                    )
    rows.append(row("add", 4000, "cuda", "torch", 1.0) | {"status": "wrong", "difference": 0.5})
    losses = [2.3 * 0.9**step for step in range(30)]
    curves = [{"case": "mlp", "n": 16, "device": d, "peer": "gpugrad", "losses": losses} for d in ("cpu", "cuda")]
    return made_up(rows, curves=curves, left_out=["jax.jit: jax is not installed (pip install jax)", "<b>marked</b>"])


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(results(), folder)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium (on Debian: apt-get install chromium)")
    with chromium(program, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def test_the_pictures_are_written(report: Path) -> None:
    assert {path.stem for path in (report / "plots").iterdir()} == set(PLOTS)
    for path in (report / "plots").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_opens_without_a_complaint_or_a_request(report: Path, browser: Page, width: int, dark: bool) -> None:
    file = report / "report.html"
    browser.open(file, width, dark=dark)
    assert browser.requested() == [file.as_uri()]
    assert browser.complaints() == []
    names = browser.evaluate("[...document.querySelectorAll('svg.plot')].map(s => s.getAttribute('aria-label'))")
    assert set(names) == set(PLOTS)
    drawn = "[...document.querySelectorAll('svg.plot')].every(s => s.clientWidth > 250 && s.clientHeight > 100)"
    assert browser.evaluate(drawn)
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 24, 28)" if dark else "rgb(255, 255, 255)"
    )


def test_a_complaint_and_a_request_would_be_seen(browser: Page, tmp_path: Path) -> None:
    """That the test above can fail."""
    file = tmp_path / "bad.html"
    file.write_text("<img src='none.png'><script>console.error('x'); nothing()</script>")
    browser.open(file, 390)
    assert [Path(url).name for url in browser.requested()] == ["bad.html", "none.png"]
    assert len(browser.complaints()) >= 2


def test_tables_are_read_at_390_pixels(report: Path, browser: Page) -> None:
    browser.open(report / "report.html", 390)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    out = "[...document.querySelectorAll('td, th, svg.plot')].filter(c => c.getBoundingClientRect().right > 390).length"
    assert browser.evaluate(out) == 0
    cut = "[...document.querySelectorAll('td, th')].filter(c => c.scrollWidth > c.clientWidth + 1).map(c => c.textContent)"
    assert browser.evaluate(cut) == []
    small = "[...document.querySelectorAll('td, th, td small')].map(c => parseFloat(getComputedStyle(c).fontSize))"
    assert min(browser.evaluate(small)) >= 11
    plot_text = (
        "Math.min(...[...document.querySelectorAll('svg.plot text')].map(t => t.getBoundingClientRect().height))"
    )
    assert browser.evaluate(plot_text) >= 7


def test_the_page_says_what_was_found(report: Path) -> None:
    text = (report / "report.html").read_text()
    assert "WRONG: differs from the reference by 5.0e-01" in text and "wrong" not in re.sub(
        r"(?s)<style>.*?</style>", "", text
    )
    assert "jax is not installed" in text and "&lt;b&gt;marked" in text and "<b>marked" not in text
    assert "Where the GPU overtakes" in text and re.search(r"GPU faster from \d\d,\d\d\d<", text)
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", text)
    assert "Simulated" not in text


def test_a_simulated_result_says_so_everywhere(tmp_path: Path) -> None:
    found = made_up(
        [row("add", 10, "cuda", "gpugrad", 1e-3, simulated=True)], simulated=True, devices={"cuda": "simulator"}
    )
    write_report(found, tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "These times say nothing of a GPU" in text
    assert "cuda simulated" in text and "gpugrad, cuda (simulated)" in text


def test_without_matplotlib_the_page_has_its_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gpugrad.bench.plots", None)
    write_report(results(), tmp_path)
    assert 'pip install "gpugrad[train]"' in capsys.readouterr().out
    text = (tmp_path / "report.html").read_text()
    assert "matplotlib" in text and "<table>" in text and "<svg" not in text
    assert not (tmp_path / "plots").exists()


def test_old_pictures_do_not_stay(report: Path, tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "times-old.png").write_bytes(b"")
    write_report(made_up([row("add", 10, "cpu", "gpugrad", 1e-3)]), tmp_path)
    assert "times-add.png" in [p.name for p in (tmp_path / "plots").iterdir()]
    assert not (tmp_path / "plots" / "times-old.png").exists()


def test_a_result_without_rows_is_a_page() -> None:
    assert "gpugrad bench" in page(made_up([]), {})
