"""report.html: self-contained, small, inert whatever a review says; looked at by a real browser if there is one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from lookwise.report import html
from lookwise.report.browser import browse, safe_json
from lookwise.report.html import page_text, write_page
from lookwise.rows import Utility
from lookwise.runs.store import write_rows

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Reader(HTMLParser):
    """What a page consists of: its elements with attributes, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data
        else:
            self.words.append(data)


@pytest.fixture(scope="module")
def page(run_folder: Path) -> str:
    return page_text(run_folder)


@pytest.fixture(scope="module")
def data(page: str) -> Any:
    return json.loads(Reader(page).scripts[0])


def test_hostile_text_adds_no_element(page: str) -> None:
    seen = Reader(page)
    assert len(seen.scripts) == 2
    assert not [tag for tag, _ in seen.elements if tag in ("img", "iframe", "object", "link", "base", "form")]
    assert not [
        a for _, attributes in seen.elements for a in attributes if a.startswith("on") or a in ("style", "href")
    ]
    assert "\n</script>" in page[-40:]
    assert "</script><img src=x" in "".join(seen.words)  # it is shown as it was written
    assert "<" not in seen.scripts[0]


def test_nothing_is_fetched_and_only_our_script_may_run(page: str) -> None:
    assert not re.search(r"(src|href)\s*=\s*[\"']?\s*(https?:)?//", page)
    assert "@import" not in page
    assert "url(" not in page
    policy = next(a["content"] for tag, a in Reader(page).elements if tag == "meta" and "http-equiv" in a) or ""
    digest = base64.b64encode(hashlib.sha256(Reader(page).scripts[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_tables_need_no_script(page: str) -> None:
    words = " ".join("".join(Reader(page).words).split())
    for said in ("majority class", "ceiling, pictures", "tuned on captions:vote", "decided early", "decided early"):
        assert said in words, said
    assert 'class="best"' in page
    assert '<td class="odd"' in page
    assert "48 of" not in words
    assert "12 of the 12 samples" in words


def test_samples_carry_their_whole_story(data: Any) -> None:
    sample = next(s for s in data["samples"] if s["id"] == "sentiment_analysis-test-1")
    whole, broken = sample["visuals"]
    assert sample["target"] == "A"
    assert sample["fields"][0] == ["review", "a {plain} review & more, <b>bold</b>"]
    assert data["pictures"][whole["picture"]].startswith("data:image/jpeg;base64,")
    assert whole["caption"] == "a round thing in one colour"
    assert [vote[:2] for vote in whole["votes"]] == [["judge-a", "yes"], ["judge-b", None]]
    assert [data["policies"][i] for i in whole["shown"]] == ["captions:always", "captions:vote"]
    assert (broken["picture"], broken["why"], broken["caption"], broken["caption_why"]) == (
        None,
        "zero bytes",
        None,
        "zero bytes",
    )
    assert broken["shown"] == []
    answers = {
        tuple(data["readers"][i][k] for k in ("group", "policy")): (a, right) for i, a, _, right, _ in sample["answers"]
    }
    assert answers["tuned on none", "captions:vote"] == ("A", True)
    assert answers["", "ceiling/text"] == ("A", True)
    assert len(answers) == 10
    unread = next(s for s in data["samples"] if s["id"] == "sentiment_analysis-test-2")
    assert [None, False, "two answers"] in [[a, right, why] for _, a, _, right, why in unread["answers"]]


def test_same_run_same_page(run_folder: Path, page: str) -> None:
    assert page_text(run_folder) == page


def test_limit_and_budget_hold_and_are_told(
    run_folder: Path, page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    few = browse(run_folder, 5, 10_000_000)
    assert (len(few.samples), few.total) == (5, 12)
    assert {(s["task"], s["split"]) for s in few.samples[:4]} == {
        (t, s) for t in ("sentiment_analysis", "product_relation_prediction") for s in ("test", "ood")
    }
    budget = 20_000
    small = browse(run_folder, 100, budget)
    assert 0 < len(small.samples) < 12
    assert len(safe_json([small.samples, small.pictures])) <= budget
    assert all(v["picture"] is None or v["picture"] < len(small.pictures) for s in small.samples for v in s["visuals"])
    limit = len(page.encode()) - 10_000
    monkeypatch.setattr(html, "_ROOM", 20_000)
    monkeypatch.setattr(html, "MAX_BYTES", limit)
    write_page(run_folder, tmp_path / "a" / "report.html")
    size = (tmp_path / "a" / "report.html").stat().st_size
    assert size <= limit
    assert re.search(r"\b([1-9]|1[01]) of the 12 samples", (tmp_path / "a" / "report.html").read_text())


def test_a_run_without_captions_has_a_page(run_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(run_folder, tmp_path / "run")
    for stage in ("captions", "ballots", "evidence", "samples"):
        shutil.rmtree(tmp_path / "run" / "rows" / stage)
    (tmp_path / "run" / "calls.json").unlink()
    (tmp_path / "run" / "recipe.yaml").write_text("a: [")
    assert "This run has no samples." in page_text(tmp_path / "run")


# ---- in a real browser ----

DRIVER = """
const out = {title: document.title, injected: document.querySelectorAll("#list script, img[onerror]").length};
const cards = () => document.querySelectorAll("article.card").length;
const pick = (name, value) => {
  const label = [...document.querySelectorAll("#bar label")].find((one) => one.firstChild.textContent === name);
  const field = label.querySelector("select, input");
  field.value = value;
  field.dispatchEvent(new Event(field.tagName === "INPUT" ? "input" : "change"));
};
out.all = cards();
out.hostile = document.getElementById("list").textContent.includes("<img src=x onerror=");
out.pictures = [...document.querySelectorAll("#list img")].every((one) => one.src.startsWith("data:image/jpeg;"));
pick("split", "ood"); out.ood = cards();
pick("task", "sentiment_analysis"); out.task = cards();
pick("split", ""); pick("task", "");
pick("outcome", "right"); out.right = cards();
pick("outcome", "wrong"); out.wrong = cards();
pick("outcome", "no readable answer"); out.unread = cards();
pick("outcome", "any outcome"); pick("pictures", "something shown"); out.shown = cards();
pick("policy", "none"); out.none = cards();
pick("pictures", "kept or dropped"); pick("search", "sentiment_analysis-test-1"); out.found = cards();
pick("search", "no such words"); out.empty = document.getElementById("list").textContent;
out.radius = getComputedStyle(document.querySelector(".scroll")).borderTopLeftRadius;
const told = document.createElement("div");
told.id = "told";
told.textContent = encodeURIComponent(JSON.stringify(out));
document.body.append(told);
"""


def driven(page: str, folder: Path) -> dict[str, Any]:
    """Return what the page does when a script of ours, allowed by its policy, plays with it."""
    assert BROWSER is not None
    digest = base64.b64encode(hashlib.sha256(DRIVER.encode()).digest()).decode()
    text = page.replace("script-src ", f"script-src 'sha256-{digest}' ").replace(
        "</body>", f"<script>{DRIVER}</script></body>"
    )
    path = folder / "driven.html"
    path.write_text(text, encoding="utf-8")
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
    ]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<div id="told">([^<]+)</div>', done.stdout)
    assert found is not None, done.stderr[-2000:]
    told = json.loads(unquote(found[1]))
    assert isinstance(told, dict)
    return told


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_in_a_browser(page: str, data: Any, tmp_path: Path) -> None:
    told = driven(page, tmp_path)
    assert told["title"].startswith("A shop </script>")  # the hostile title, as text; no handler has changed it
    assert told["injected"] == 0
    assert told["hostile"]
    assert told["pictures"]
    assert (told["all"], told["ood"], told["task"]) == (12, 6, 3)
    place = next(i for i, r in enumerate(data["readers"]) if r["policy"] == r["tuned_on"] == "captions:vote")
    mine = [next(a for a in s["answers"] if a[0] == place) for s in data["samples"]]
    assert told["right"] == sum(a[3] for a in mine) > 0
    assert told["unread"] == sum(a[1] is None for a in mine) > 0
    assert told["wrong"] == 12 - told["right"] - told["unread"] > 0
    vote = data["policies"].index("captions:vote")
    assert told["shown"] == sum(any(vote in v["shown"] for v in s["visuals"]) for s in data["samples"]) > 0
    assert told["none"] == 0
    assert told["found"] == 1
    assert told["empty"] == "No embedded sample is like this."
    assert told["radius"] == "8px"  # the policy lets our style in


def test_what_a_picture_is_worth_stands_beside_it(run_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run_folder, copy)
    ours = "sentiment_analysis-test-1"
    shared = {"sample_id": ours, "text_right": None, "visual_right": None, "reader": "r", "model": "m"}
    rows: dict[str, dict[str, Any]] = {
        "predicted": {"slot": None, "label": "helpful", "gain": None, "probability": 0.63, "source": "predicted"},
        "measured": {
            "slot": None, "label": None, "gain": None, "probability": None, "source": "measured", "reason": "no answer",
        },
        "utilities": {
            "slot": "other", "label": "helpful", "gain": 1.0, "probability": None, "source": "truth", "kind": "view",
        },
    }  # fmt: skip
    for stage, row in rows.items():
        shutil.rmtree(copy / "rows" / stage, ignore_errors=True)
        write_rows(copy / "rows" / stage, Utility, [Utility(**{**shared, **row, "candidate": 0})])
    sample = next(s for s in browse(copy, 50, 10**7).samples if s["id"] == ours)
    assert sample["visuals"][0]["worth"] == [
        "predicted: helpful, helpful with probability .630",
        "measured: no judgement (no answer)",
    ], "the truth here is of another slot's picture"
