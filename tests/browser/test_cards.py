"""The models' cards beside Generation, over thousands of files that are nothing but headers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, Watch, running, visit
from tests.catalog.files import safetensors
from tests.catalog.test_cards import LORA_SD1
from tests.small import stub_checkpoint

pytestmark = pytest.mark.browser

MANY = 3000
PICTURED = 200
MOST_IN_PAGE = 120
"""Cards: what fits a large screen and the spare rows around it."""
LORA_SDXL = {
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight": (4, 2048),
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_up.weight": (640, 4),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("模型 库")
    models = root / "models"
    stub_checkpoint(models / "Stable-diffusion" / "first.safetensors")
    stub_checkpoint(models / "Stable-diffusion" / "second.safetensors")
    lora = models / "Lora"
    for number in range(MANY):
        path = safetensors(lora / "many" / str(number // 500) / f"style_{number:04d}.safetensors", LORA_SD1)
        if number < PICTURED:
            Image.new("RGB", (32, 48), (number, 90, 160)).save(path.with_suffix(".png"))
    glow = safetensors(lora / "光" / "glow.safetensors", LORA_SD1, metadata={"ss_output_name": "Soft Glow"})
    notes = {"activation text": "glowing, soft light", "preferred weight": 0.7, "negative text": "harsh"}
    glow.with_suffix(".json").write_text(json.dumps(notes), encoding="utf-8")
    safetensors(lora / "other.safetensors", LORA_SDXL)
    safetensors(lora / ".private" / "secret.safetensors", LORA_SD1)
    safetensors(root / "embeddings" / "EasyHands.safetensors", {"emb_params": (4, 768)})
    with running(root, "--skip-load-model-at-start", "--no-hashing") as made:
        yield made


@pytest.fixture(scope="module")
def looked_at(library: Server, browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """One page for all tests, which is what takes time; and the addresses it asked for while it opened."""
    context = browser.new_context(locale="en-US", viewport={"width": 1440, "height": 1000})
    watch = Watch(library.url.split("//")[1])
    watch.over(context)
    page = context.new_page()
    page.set_default_timeout(60_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    visit(page, library.url)
    yield page, asked
    context.close()
    assert (watch.foreign, watch.faults) == ([], [])


@pytest.fixture
def page(looked_at: tuple[Page, list[str]]) -> Page:
    """The page with nothing typed and nothing searched for."""
    page, _ = looked_at
    page.evaluate(
        """async () => {
            for (const tab of maple.TABS) {
                await maple.form.write(tab, { [`${tab}_prompt`]: "", [`${tab}_neg_prompt`]: "" });
            }
            for (const field of document.querySelectorAll(".extra-network-control--search-text")) {
                field.value = "";
                field.dispatchEvent(new Event("input"));
            }
        }"""
    )
    page.locator("#tab_txt2img-button").last.click()
    return page


def show(page: Page, name: str, tab: str = "txt2img") -> None:
    page.locator(f"#{tab}_{name}-button").last.click()
    page.locator(f"#{tab}_{name}_cards .card").first.wait_for()


def card(page: Page, title: str, name: str = "lora", tab: str = "txt2img"):
    return page.locator(f'#{tab}_{name}_cards .card[data-name="{title}"]')


def search(page: Page, text: str, name: str = "lora", *, shown: int) -> None:
    page.locator(f"#txt2img_{name}_extra_search").fill(text)
    page.wait_for_function(
        "([name, shown]) => maple.cards.views[`txt2img_${name}`].found.length === shown", arg=[name, shown]
    )


def prompts(page: Page, tab: str = "txt2img") -> tuple[str, str]:
    return (
        page.locator(f"#{tab}_prompt textarea").input_value(),
        page.locator(f"#{tab}_neg_prompt textarea").input_value(),
    )


def says(page: Page, prompt: str, negative: str = "", tab: str = "txt2img") -> None:
    page.wait_for_function(
        """([tab, prompt, negative]) => document.querySelector(`#${tab}_prompt textarea`).value === prompt
            && document.querySelector(`#${tab}_neg_prompt textarea`).value === negative""",
        arg=[tab, prompt, negative],
    )


def test_of_thousands_of_models_only_those_in_sight_are_in_the_page(
    page: Page, looked_at: tuple[Page, list[str]]
) -> None:
    asked = looked_at[1]
    asked.clear()
    show(page, "lora")
    in_page = "document.querySelectorAll('#txt2img_lora_cards .card').length"
    assert page.evaluate("maple.cards.store.lora.cards.length") == MANY + 3
    assert 8 <= page.evaluate(in_page) <= MOST_IN_PAGE
    page.wait_for_timeout(500)
    assert len([url for url in asked if url.endswith("/internal/cards/lora")]) == 1
    assert 0 < len([url for url in asked if "/thumbnail" in url]) <= MOST_IN_PAGE
    page.evaluate("document.querySelector('#txt2img_lora_cards').scrollTop = 1e9")
    page.wait_for_function("maple.cards.views.txt2img_lora.cards.has(maple.cards.views.txt2img_lora.found.at(-1).id)")
    assert page.evaluate(in_page) <= MOST_IN_PAGE
    page.wait_for_timeout(300)
    # What was passed in a jump was never asked for.
    assert len([url for url in asked if "/thumbnail" in url]) <= MOST_IN_PAGE


def test_a_click_puts_the_tag_in_and_a_second_takes_it_out(page: Page) -> None:
    page.locator("#txt2img_prompt textarea").fill("a cat")
    page.locator("#txt2img_neg_prompt textarea").fill("blurry")
    show(page, "lora")
    search(page, "glow", shown=1)
    card(page, "glow").click()
    says(page, "a cat <lora:Soft Glow:0.7> glowing, soft light", "blurry harsh")
    expect(card(page, "glow")).to_have_attribute("aria-pressed", "true")
    # The weight may have been changed by hand, and words may stand behind it.
    page.locator("#txt2img_prompt textarea").fill("a cat <lora:Soft Glow:0.35> glowing, soft light, at night")
    card(page, "glow").click()
    says(page, "a cat, at night", "blurry")


def test_two_quick_clicks_on_two_cards_lose_nothing(page: Page) -> None:
    show(page, "lora")
    search(page, "style_000", shown=10)
    page.evaluate(
        "for (const name of ['style_0001', 'style_0002'])"
        " document.querySelector(`#txt2img_lora_cards .card[data-name=${name}]`).click()"
    )
    says(page, "<lora:style_0001:1> <lora:style_0002:1>")


def test_an_embedding_goes_to_the_box_that_was_used_last(page: Page) -> None:
    page.locator("#txt2img_neg_prompt textarea").fill("blurry")
    show(page, "textual_inversion")
    card(page, "EasyHands", "textual_inversion").click()
    says(page, "", "blurry EasyHands")
    page.locator("#txt2img_prompt textarea").click()
    card(page, "EasyHands", "textual_inversion").click()
    says(page, "EasyHands", "blurry EasyHands")
    page.locator("#txt2img_prompt textarea").fill("a cat, (EasyHands:1.2), a dog")
    card(page, "EasyHands", "textual_inversion").click()
    says(page, "a cat, a dog", "blurry EasyHands")


def test_a_search_looks_at_paths_names_and_aliases_and_secret_folders_take_four_letters(page: Page) -> None:
    show(page, "lora")
    search(page, "soft glow", shown=1)
    search(page, "光/", shown=1)
    search(page, "many/1/", shown=500)
    search(page, "style 0042", shown=1)
    search(page, "sec", shown=0)
    search(page, "secr", shown=1)
    search(page, "nothing like it", shown=0)
    assert page.locator("#txt2img_lora_cards .extra-network-empty").is_visible()


def test_folders_are_buttons_and_dates_sort_as_they_say(page: Page, library: Server) -> None:
    show(page, "lora")
    page.locator("#txt2img_lora_dirs button", has_text="光/").click()
    page.wait_for_function("maple.cards.views.txt2img_lora.found.length === 1")
    page.locator("#txt2img_lora_dirs button.search-all").click()
    page.locator("#txt2img_lora_extra_sort_name").click()
    first = "maple.cards.views.txt2img_lora.found[0].title"
    assert page.evaluate(first) == "glow"
    page.locator("#txt2img_lora_extra_sort_dir").click()
    assert page.evaluate(first) == f"style_{MANY - 1:04d}"
    page.locator("#txt2img_lora_extra_sort_date_modified").click()
    times = page.evaluate("maple.cards.views.txt2img_lora.found.map((card) => card.modified)")
    assert times == sorted(times, reverse=True)


def test_what_does_not_fit_the_checkpoint_is_dimmed_and_says_why(page: Page) -> None:
    show(page, "lora")
    search(page, "other", shown=1)
    assert "misfit" in (card(page, "other").get_attribute("class") or "")
    assert "SDXL" in (card(page, "other").get_attribute("title") or "")
    search(page, "glow", shown=1)
    assert "misfit" not in (card(page, "glow").get_attribute("class") or "")


def test_what_does_not_fit_is_hidden_where_the_setting_says_so(page: Page) -> None:
    show(page, "lora")
    search(page, "other", shown=1)
    change = """shown => maple.ask("internal/settings", { values: { lora_filter_disabled: shown } })
        .then(() => maple.form.refreshLists())"""
    page.evaluate(change, False)
    page.wait_for_function("maple.cards.views.txt2img_lora.found.length === 0")
    page.evaluate(change, True)
    page.wait_for_function("maple.cards.views.txt2img_lora.found.length === 1")


def test_a_checkpoints_card_chooses_it_for_the_page_and_the_server(page: Page, library: Server) -> None:
    show(page, "checkpoints")
    wanted = card(page, "second", "checkpoints")
    wanted.click()
    page.wait_for_function("document.querySelector('#setting_sd_model_checkpoint input').value.startsWith('second')")
    page.wait_for_function(
        "document.querySelector('#txt2img_checkpoints_cards .card[data-name=second]').ariaPressed === 'true'"
    )
    page.wait_for_function(
        "fetch('internal/choices').then(r => r.json()).then(c => c.now.checkpoint.startsWith('second'))"
    )
    card(page, "first", "checkpoints").click()
    page.wait_for_function("document.querySelector('#setting_sd_model_checkpoint input').value.startsWith('first')")


def test_notes_written_in_the_editor_are_in_the_file_and_in_the_next_click(page: Page, library: Server) -> None:
    show(page, "lora")
    search(page, "style_0100", shown=1)
    card(page, "style_0100").hover()
    card(page, "style_0100").locator(".edit-button").click()
    page.locator("#card_activation_text").fill("ink")
    page.locator("#card_preferred_weight").fill("0.4")
    page.locator("#card_editor button.primary").click()
    page.locator("#card_editor").wait_for(state="detached")
    notes = library.root / "models" / "Lora" / "many" / "0" / "style_0100.json"
    assert json.loads(notes.read_text("utf-8"))["activation text"] == "ink"
    page.wait_for_function("maple.cards.store.lora.cards.some((card) => card.activation === 'ink')")
    card(page, "style_0100").click()
    says(page, "<lora:style_0100:0.4> ink")


def test_a_refreshed_page_of_cards_refreshes_the_lists_too(page: Page, library: Server) -> None:
    show(page, "checkpoints")
    new = stub_checkpoint(library.root / "models" / "Stable-diffusion" / "third.safetensors")
    page.locator("#txt2img_checkpoints_extra_refresh").click()
    card(page, "third", "checkpoints").wait_for()
    page.wait_for_function("maple.form.lists.checkpoints.some((item) => item.title.startsWith('third'))")
    Path(new).unlink()
    page.locator("#refresh_sd_model_checkpoint").click()
    card(page, "third", "checkpoints").wait_for(state="detached")


def test_img2img_has_cards_of_its_own_over_the_same_list(page: Page) -> None:
    page.locator("#tab_img2img-button").last.click()
    show(page, "lora", "img2img")
    page.locator("#img2img_lora_extra_search").fill("glow")
    page.wait_for_function("maple.cards.views.img2img_lora.found.length === 1")
    card(page, "glow", tab="img2img").click()
    says(page, "<lora:Soft Glow:0.7> glowing, soft light", "harsh", tab="img2img")
    assert prompts(page) == ("", "")


def test_the_keyboard_works_as_the_mouse_does(page: Page) -> None:
    show(page, "lora")
    search(page, "glow", shown=1)
    card(page, "glow").focus()
    page.keyboard.press("Enter")
    says(page, "<lora:Soft Glow:0.7> glowing, soft light", "harsh")


def test_on_a_phone_cards_stand_two_abreast_within_the_screen(library: Server, browser: Browser) -> None:
    context = browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.set_default_timeout(60_000)
    visit(page, library.url)
    show(page, "lora")
    assert page.evaluate("maple.cards.views.txt2img_lora.columns") == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
