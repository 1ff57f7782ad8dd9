"""The pages as a browser shows them, wide and narrow, light and dark: nothing to scroll sideways, every text readable,
every drawing with a name, no word on the console. Needs Chromium; skipped where there is none."""

import functools
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.unit.history import test_runs
from tests.unit.stages.test_pages import nasty, run_json
from tofner.history import seeds
from tofner.stages.pages.render import render_html
from tofner.tagging.job.page import sample_page
from tofner.tagging.job.stats import Counts

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not BROWSER, reason="no Chromium here")]
WIDTHS = (1280, 390)
# By WCAG 2.2: contrast (1.4.3) of each text with what lies behind it, names of drawings (1.1.1), language (3.1.1).
LOOK = """
const rgba = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
function behind(element) {
  const layers = [];
  for (let e = element; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
  const page = matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
  return layers.reverse().reduce((under, top) => over(top, under), page);
}
function opacity(element) {
  return element ? Number(getComputedStyle(element).opacity) * opacity(element.parentElement) : 1;
}
function luminance(colour) {
  const [r, g, b] = colour.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function look() {
  const root = document.documentElement, faint = [];
  document.querySelectorAll('details').forEach(e => { e.open = true; });
  for (const e of document.body.querySelectorAll('*')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), ground = behind(e), ink = rgba(style.color);
    ink[3] *= opacity(e);
    const [a, b] = [luminance(over(ink, ground)), luminance(ground)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    const about = `${e.tagName}.${e.className} ${ratio.toFixed(2)} ${e.textContent.slice(0, 30)}`;
    if (ratio < (large ? 3 : 4.5)) faint.push(about);
  }
  const nameless = [...document.querySelectorAll('svg, img, [role=img]')].filter(
    e => !e.closest('[aria-hidden=true]') && !e.getAttribute('aria-label') && !e.alt
      && !e.querySelector(':scope > title'));
  return {
    wider: root.scrollWidth - root.clientWidth, faint, nameless: nameless.map(e => e.outerHTML.slice(0, 80)),
    language: root.lang, title: document.title, texts: document.body.innerText.length,
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
  };
}
"""
FRAMES = """<!doctype html><html lang="en"><style>:root { color-scheme: light dark; }</style><body><script>
const told = {}, pages = PAGES, widths = WIDTHS, waiting = [];
for (const page of pages) for (const width of widths) {
  const frame = document.createElement('iframe');
  frame.src = page; frame.width = width; frame.height = 800; frame.style.border = 0;
  waiting.push(new Promise(done => {
    frame.onload = () => { told[`${page} ${width}`] = frame.contentWindow.look(); done(); };
  }));
  document.body.append(frame);
}
Promise.all(waiting).then(() => { document.body.textContent = JSON.stringify(told); document.body.id = 'done'; });
</script></body></html>"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """Address of a folder of pages, and their names: of a run, of one with nasty texts, of seeds, of a tagging job."""
    root = tmp_path_factory.mktemp("pages")
    store = test_runs.Store(root / "store")
    runs = [store.read(key, seed) for key, seed in (("a", 1), ("b", 2))]
    counts = Counts(records=2, words=9, entities={"LOC": 1, "PER": 1, "A-LONG-TYPE-OF-ONE-WORD": 1})
    text = "Angela Merkel met " + "averylongwordwithoutanyplacetobreakit" * 4
    sample = {"text": text, "cut": True, "entities": [[0, 13, "PER", 0.75], [18, 60, "LOC", 0.5]]}
    made = {
        "report.html": render_html(run_json()),
        "nasty.html": render_html(nasty(run_json())),
        "seeds.html": seeds.render_html(seeds.summarise(runs, root / "cache")),
        "sample.html": sample_page("posts", [sample], counts),
    }
    folder = root / "served"
    folder.mkdir()
    for name, page in made.items():
        (folder / name).write_text(page + f"<script>{LOOK}</script>", encoding="utf-8")
    frames = FRAMES.replace("PAGES", json.dumps(list(made))).replace("WIDTHS", json.dumps(WIDTHS))
    (folder / "frames.html").write_text(frames, encoding="utf-8")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", list(made)
    server.shutdown()
    server.server_close()
    thread.join()


def looked_at(address: str, dark: bool, home: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """What `look` found in each page and width, and what was said on the console."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--enable-logging=stderr"]
    command += [f"--user-data-dir={home}", "--window-size=1400,900", "--virtual-time-budget=20000", "--dump-dom"]
    command += ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = subprocess.run(
        [*command, f"{address}/frames.html"], capture_output=True, text=True, timeout=120, check=False
    )
    found = re.search(r'<body id="done">(.*?)</body>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    text = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&")
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "favicon" not in line]
    return json.loads(text), said


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_are_readable_in_a_browser(pages: tuple[str, list[str]], dark: bool, tmp_path: Path) -> None:
    address, names = pages
    told, said = looked_at(address, dark, tmp_path / "browser")
    assert said == []
    assert set(told) == {f"{name} {width}" for name in names for width in WIDTHS}
    for page, found in told.items():
        assert found["dark"] is dark, page
        assert (found["language"], bool(found["title"]), found["texts"] > 50) == ("en", True, True), page
        assert found["nameless"] == [], page
        assert found["faint"] == [], page
        assert found["wider"] <= 0, page
