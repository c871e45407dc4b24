"""Who sees little, or nothing, or other colours: axe-core, and by computation what axe-core cannot see."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.exporters.test_svg import contrast
from tests.timelines import workshop

pytestmark = pytest.mark.slow

MEDIA = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "more contrast": {"color_scheme": "light", "contrast": "more"},
    "forced colours": {"color_scheme": "light", "forced_colors": "active"},
    "forced colours, dark": {"color_scheme": "dark", "forced_colors": "active"},
}
#: What axe-core passes over (a letter that is no text, such as −): its colour, and that of what it stands on.
COLOURS = """(selector) => {
    const two = (part) => Number(part).toString(16).padStart(2, "0");
    const hex = (colour) => "#" + colour.match(/\\d+/g).slice(0, 3).map(two).join("");
    const element = document.querySelector(selector);
    let ground = element;
    while (/^rgba.*, 0\\)$/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
    return [hex(getComputedStyle(element).color), hex(getComputedStyle(ground).backgroundColor)];
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    spec = find_spec("axe_playwright_python")
    assert spec is not None and spec.origin is not None, "pip install 'asyncmagic[test]' brings axe-core"
    return (Path(spec.origin).parent / "axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("media", MEDIA.values(), ids=list(MEDIA))
def test_axe_finds_nothing_to_complain_about(view, axe, media):
    view.page.emulate_media(**media)
    view.show(workshop())
    view.page.get_by_role("button", name="Table").click()
    view.page.get_by_role("searchbox").fill("gpt")
    view.press("ArrowRight", "Enter")
    view.page.get_by_role("button", name="Copy or save").click()
    view.page.evaluate(axe)
    found = view.page.evaluate("axe.run(document.querySelector('.asyncmagic'))")
    assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
    unseen = [(each["id"], node["target"][0]) for each in found["incomplete"] for node in each["nodes"]]
    assert {rule for rule, _ in unseen} <= {"color-contrast"}
    weak = {target: contrast(*view.page.evaluate(COLOURS, target)) for _, target in unseen}
    assert {target: ratio for target, ratio in weak.items() if ratio < 4.5} == {}


def test_the_picture_and_the_table_without_script_are_in_order_too(view, axe):
    view.page.set_content(
        f"<!doctype html><html lang=en><title>A run</title><main>{workshop().to_html().split('<script>')[0]}"
    )
    view.page.locator("summary").click()
    view.page.evaluate(axe)
    found = view.page.evaluate("axe.run()")
    assert [each["id"] for each in found["violations"]] == ["page-has-heading-one"]
