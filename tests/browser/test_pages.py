"""The pages in a real browser: they render from a file, sort, filter, link, fit a phone and run nothing of others."""

import json

import pytest

from focal_ref.conformance.gate import items_of
from focal_ref.conformance.profiles import load_profile

TARGETS = """
return [...document.querySelectorAll("#table tbody tr")].map((row) => [
  row.dataset.name,
  [...row.cells].map((cell) => cell.querySelector("a").getAttribute("href"))
    .map((link) => document.querySelector(link).querySelector(".name").textContent),
]);
"""
"""Of each row the requirement, and where its cells lead."""

WIDE = """
const boxes = ".scroll, pre, svg, .skip, [hidden]";
return [...document.querySelectorAll("body *")]
  .filter((one) => !one.closest(boxes) && one.getClientRects().length)
  .filter((one) => one.getBoundingClientRect().right > window.innerWidth + 1)
  .map((one) => one.outerHTML.slice(0, 200));
"""
"""What is wider than the page."""

OUTSIDE = """
const plot = arguments[0].querySelector("svg").getBoundingClientRect();
return [...arguments[0].querySelectorAll("svg[role=img] .format > *")].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.left < plot.left || box.right > plot.right || box.top < plot.top || box.bottom > plot.bottom;
}).map((one) => one.outerHTML);
"""
"""What of a plot is beyond its edges."""

PAGES = ("full", "red", "hostile", "matrix")


def find(driver, selector):
    return driver.find_element("css selector", selector)


def find_all(driver, selector):
    return driver.find_elements("css selector", selector)


def names(driver):
    """Ids of the requirements in the rows that are shown, in order."""
    script = (
        "return [...document.querySelectorAll('#table tbody tr')].filter(row => !row.hidden)"
        ".map(row => row.cells[0].innerText.split(/\\s/)[0])"
    )
    return driver.execute_script(script)


def header(driver, name):
    (button,) = [one for one in find_all(driver, "#table thead button") if one.text.startswith(name)]
    return button


def choose(driver, control, value):
    script = (
        "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
        "one.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    driver.execute_script(script, control, value)


@pytest.mark.parametrize("name", PAGES)
def test_it_renders_from_a_file_without_an_error_and_without_a_request(opened, name):
    driver = opened(name)
    assert find(driver, "h1").is_displayed()
    assert len(names(driver)) > 3
    assert driver.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert asked
    assert all(url.startswith(("file://", "data:", "about:")) for url in asked), asked
    assert len([url for url in asked if url.startswith("file://")]) == 1


def test_the_head_says_the_verdict_and_what_was_tested(opened):
    driver = opened("full")
    assert find(driver, "h1").text == "mine"
    assert find(driver, ".verdict").text.lower().startswith("not conformant: 1 requirement not met")
    assert "mine 1.2" in find(driver, ".facts").text
    counts = {tile.text.split("\n")[1]: tile.text.split("\n")[0] for tile in find_all(driver, ".tile")}
    assert (counts["fail"], counts["waived"]) == ("2", "1")
    total = len(items_of(load_profile("numpy")))
    assert int(counts["pass"]) == total - 3


def test_a_click_on_a_header_sorts_and_another_turns_the_order_round(opened):
    driver = opened("full")
    before = names(driver)
    assert before[:3] == ["self-check", "FL-VAL-001", "FL-VAL-002"]
    header(driver, "float32").click()
    # The failure, then what is nearest to its budget: 0.4 of 0.5.
    assert names(driver)[0] == "FL-VAL-002"
    assert set(names(driver)[1:3]) == {"FL-VAL-001", "FL-GRAD-001"}
    assert header(driver, "float32").find_element("xpath", "..").get_attribute("aria-sort") == "descending"
    header(driver, "float32").click()
    assert names(driver)[-1] == "FL-VAL-002"
    assert header(driver, "float32").find_element("xpath", "..").get_attribute("aria-sort") == "ascending"
    header(driver, "requirement").click()
    assert names(driver) == before
    assert header(driver, "float32").find_element("xpath", "..").get_attribute("aria-sort") == "none"


def test_it_sorts_by_keyboard(opened):
    driver = opened("full")
    header(driver, "outcome").send_keys("\ue007")
    assert names(driver)[:2] == ["FL-VAL-002", "FL-VAL-003"]
    assert driver.switch_to.active_element == header(driver, "outcome")


def test_it_filters_by_words_outcome_area_and_format(opened):
    driver = opened("full")
    everything = len(names(driver))
    find(driver, "#search").send_keys("cancellation easy")
    assert names(driver) == ["FL-VAL-002"]
    assert find(driver, "#shown").text == f"1 of {everything} shown"
    find(driver, "#reset").click()
    assert len(names(driver)) == everything
    choose(driver, "outcome", "FAIL")
    assert names(driver) == ["FL-VAL-002"]
    choose(driver, "outcome", "WAIVED")
    assert names(driver) == ["FL-VAL-003"]
    # In another format that requirement passed.
    choose(driver, "dtype", "float32")
    assert names(driver) == []
    choose(driver, "outcome", "")
    assert "FL-VAL-003" in names(driver)
    shown = [one.text.split()[0] for one in find_all(driver, "#table thead button") if one.is_displayed()]
    assert shown == ["requirement", "outcome", "float32"]
    choose(driver, "dtype", "")
    choose(driver, "area", "STAR")
    assert names(driver)
    assert all(name.startswith("FL-STAR-") for name in names(driver))


def test_a_tile_filters_by_its_outcome_and_a_second_click_shows_all_again(opened):
    driver = opened("full")
    everything = names(driver)
    tile = find(driver, "button.tile.fail")
    tile.click()
    assert names(driver) == ["FL-VAL-002"]
    assert tile.get_attribute("aria-pressed") == "true"
    tile.click()
    assert names(driver) == everything


@pytest.mark.parametrize("width", [1280, 390])
def test_every_cell_leads_to_its_requirement(opened, width):
    driver = opened("full", width)
    for name, targets in driver.execute_script(TARGETS):
        assert set(targets) == {name}
    cell = find(driver, 'tr[data-name="FL-VAL-002"] td[data-column="float32"] a')
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
    cell.click()
    assert driver.current_url.endswith("#FL-VAL-002")
    top = driver.execute_script("return document.getElementById('FL-VAL-002').getBoundingClientRect().top")
    assert 0 <= top < 100
    article = find(driver, "#FL-VAL-002").text
    assert "Easy elements keep a loss" in article
    assert "easy elements are lost." in article
    assert "pytest conformance --profile=mine -k FL-VAL-002" in article


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_a_phone_the_page_does_not_scroll_sideways(opened, name, dark):
    driver = opened(name, 390, 844, dark=dark)
    width = driver.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert width == [390, 390]
    # Nothing sticks out unseen either, but what scrolls in a box of its own.
    assert driver.execute_script(WIDE) == []


CONTRASTS = """
const parse = (text) => {
  const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
  return {r, g, b, a};
};
const light = ({r, g, b}) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (one) => {
  for (let at = one; at; at = at.parentElement) {
    const color = parse(getComputedStyle(at).backgroundColor);
    if (color.a === 1) return color;
  }
  throw new Error("no background");
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const bad = [];
let count = 0;
while (walker.nextNode()) {
  const one = walker.currentNode.parentElement;
  const text = walker.currentNode.textContent.trim().slice(0, 40);
  if (!text || !one.getClientRects().length || one.closest("script, style, option")) continue;
  const style = getComputedStyle(one);
  const both = [light(parse(one.closest("svg") ? style.fill : style.color)), light(behind(one))];
  const [a, b] = both.sort((x, y) => y - x);
  count += 1;
  if ((a + 0.05) / (b + 0.05) < 4.5) bad.push([one.className, text, (a + 0.05) / (b + 0.05)]);
}
return [count, bad];
"""


@pytest.mark.parametrize("name", ["full", "red", "matrix"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(opened, name, dark):
    driver = opened(name, dark=dark)
    count, bad = driver.execute_script(CONTRASTS)
    assert count > 100
    assert bad == []


def test_a_reader_who_prefers_the_dark_gets_a_dark_page(opened):
    script = "return getComputedStyle(document.body).backgroundColor"
    assert opened("full").execute_script(script) == "rgb(255, 255, 255)"
    assert max(map(int, opened("full", dark=True).execute_script(script)[4:-1].split(","))) < 40


LINES = """
const background = getComputedStyle(document.body).backgroundColor;
return [background, ["float64", "float32", "float16", "bfloat16"].map(
  (name) => getComputedStyle(document.querySelector(`.format.${name} .line`)).stroke)];
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_lines_of_plots_differ_and_stand_out_from_the_page(opened, dark):
    def luminance(text):
        parts = [int(part) / 255 for part in text[4:-1].split(",")]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    background, lines = opened("full", dark=dark).execute_script(LINES)
    assert len(set(lines)) == 4
    for line in lines:
        low, high = sorted([luminance(background), luminance(line)])
        assert (high + 0.05) / (low + 0.05) >= 3


def test_plots_show_a_point_a_bin_with_its_numbers_to_hover(opened):
    driver = opened("full")
    plot = find(driver, "figure.plot")
    assert "VAL: value" in plot.text
    titles = [one.get_attribute("textContent") for one in plot.find_elements("css selector", "svg title")]
    assert "float64, margin 2 to 4: 80 ulp, budget 20 ulp, the worst of 5 is grid/d" in titles
    assert find(driver, "figure.plot svg").size["width"] > 400
    assert driver.execute_script(OUTSIDE, plot) == []


@pytest.mark.parametrize("name", ["hostile", "matrix"])
def test_hostile_texts_are_shown_and_run_nothing(opened, name):
    driver = opened(name)
    assert driver.execute_script("return window.pwned") is None
    assert driver.execute_script("return document.querySelectorAll('img, iframe, [onerror]').length") == 0
    assert "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>" in find(driver, "body").text
    find(driver, "#search").send_keys("<img src=x onerror=window.pwned=1>")
    assert driver.execute_script("return window.pwned") is None


def test_no_other_script_could_run_even_if_one_got_in(opened):
    driver = opened("full")
    script = (
        "const one = document.createElement('script'); one.textContent = 'window.pwned = 1'; document.body.append(one);"
        "document.body.insertAdjacentHTML('beforeend', '<p id=evil onclick=\"window.pwned = 2\">x</p>');"
        "document.getElementById('evil').click(); return window.pwned"
    )
    assert driver.execute_script(script) is None


def test_a_matrix_leads_to_the_page_of_a_run(opened, pages):
    driver = opened("matrix")
    find(driver, 'td[data-column="1"][data-outcome="FAIL"] a').click()
    assert driver.current_url.startswith(pages["full"].as_uri())
    assert find(driver, "article:target").is_displayed()


def test_all_is_there_without_scripts(opened, chromium):
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver = opened("full")
        assert not find(driver, ".controls").is_displayed()
        assert find(driver, "#FL-VAL-002 pre").is_displayed()
        assert len(find_all(driver, "#table tbody tr")) > 100
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_printed_it_has_no_controls(opened):
    driver = opened("full")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not find(driver, ".controls").is_displayed()
        assert find(driver, "#table").is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
