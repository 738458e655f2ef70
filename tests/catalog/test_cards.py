"""Cards: what small files beside a model tell, the name a prompt calls it by, its picture, and how little is opened."""

import base64
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.catalog.files import safetensors
from webui.catalog import Catalog, folders_from
from webui.catalog.beside import NotesBroken
from webui.catalog.cards import Card, Cards, NotOurs, UnknownCard
from webui.catalog.places import a1111_home_from
from webui.domain import Family, ModelKind

LORA = ModelKind.LORA
LORA_SD1 = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (4, 768),
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": (320, 4),
}

opened: list[str] = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)


class Flags:
    a1111_home: Path | None = None


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Cards]]:
    made: list[Cards] = []

    def make(flags: object = None) -> Cards:
        home = a1111_home_from(flags)
        catalog = Catalog(tmp_path / "cache" / "models.db", folders_from(flags, tmp_path))
        catalog.scan()
        made.append(Cards(catalog, tmp_path / "cache", home=home.root if home else None))
        made[-1].read()
        return made[-1]

    yield make
    for cards in made:
        cards.close()
        cards.catalog.close()


@pytest.fixture
def lora(tmp_path: Path) -> Callable[..., Path]:
    def lora(name: str, **metadata: str) -> Path:
        return safetensors(tmp_path / "models" / "Lora" / f"{name}.safetensors", LORA_SD1, metadata=metadata or None)

    return lora


def png(color: str = "red", size: tuple[int, int] = (1024, 1536), form: str = "PNG") -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, color).save(made, form)
    return made.getvalue()


def only(cards: Cards, kind: ModelKind = LORA) -> Card:
    (card,) = cards.all(kind)
    return card


def test_a_persons_notes_are_on_the_card(make: Callable[..., Cards], lora: Callable[..., Path]) -> None:
    notes = {"description": "柔光", "activation text": "soft light", "preferred weight": 0.7, "negative text": "harsh"}
    lora("a").with_suffix(".json").write_text(json.dumps(notes), encoding="utf-8")
    told = only(make()).told
    assert (told.description, told.activation_text, told.preferred_weight) == ("柔光", "soft light", 0.7)
    assert told.negative_text == "harsh"


def test_a_description_may_stand_in_a_text_file(make: Callable[..., Cards], lora: Callable[..., Path]) -> None:
    lora("a").with_suffix(".description.txt").write_text("old way", encoding="utf-8")
    assert only(make()).told.description == "old way"


def test_civitais_words_count_where_the_person_wrote_none(
    make: Callable[..., Cards], lora: Callable[..., Path]
) -> None:
    site = {
        "trainedWords": ["softlight style", " glow, "],
        "baseModel": "Pony",
        "description": "<p>A <b>glow</b>&amp;</p>",
    }
    lora("a").with_suffix(".civitai.info").write_text(json.dumps(site))
    path = lora("b")
    path.with_suffix(".civitai.info").write_text(json.dumps(site))
    path.with_suffix(".json").write_text('{"activation text": "mine"}')
    first, second = make().all(LORA)
    assert first.told.activation_text == "softlight style, glow"
    assert first.told.description == "A glow&"
    assert second.told.activation_text == "mine"


def test_the_persons_word_on_the_family_beats_the_header_and_the_header_beats_the_site(
    make: Callable[..., Cards], lora: Callable[..., Path]
) -> None:
    lora("a").with_suffix(".json").write_text('{"sd version": "SDXL"}')
    lora("b").with_suffix(".civitai.info").write_text('{"baseModel": "SDXL 1.0"}')
    lora("c").with_suffix(".json").write_text('{"sd version": "Unknown"}')
    assert [card.family for card in make().all(LORA)] == [Family.SDXL, Family.SD1, Family.SD1]


def test_broken_side_files_leave_the_card_standing(make: Callable[..., Cards], lora: Callable[..., Path]) -> None:
    path = lora("a")
    path.with_suffix(".json").write_bytes(b'{"description": "\xff')
    path.with_suffix(".civitai.info").write_text("[1, 2]")
    assert only(make()).told.description == ""


def test_a_page_of_cards_opens_no_file(make: Callable[..., Cards], lora: Callable[..., Path]) -> None:
    for number in range(30):
        lora(f"{number}").with_suffix(".json").write_text('{"description": "x"}')
    first = make()
    first.all(LORA)
    second = make()  # another start: what was told is in the index
    opened.clear()
    assert [card.told.description for card in second.all(LORA)] == ["x"] * 30
    assert [path for path in opened if "Lora" in path] == []


def test_an_edited_note_is_read_at_refresh_and_only_that_one(
    make: Callable[..., Cards], lora: Callable[..., Path]
) -> None:
    for name in ("a", "b"):
        lora(name).with_suffix(".json").write_text('{"description": "old"}')
    cards = make()
    state = cards.state
    edited = cards.all(LORA)[1].record.path.with_suffix(".json")
    edited.write_text('{"description": "new"}')
    os.utime(edited, ns=(1, 1))
    cards.catalog.refresh(LORA)
    opened.clear()
    cards.read()
    assert [path for path in opened if path.endswith(".json")] == [str(edited)]
    assert [card.told.description for card in cards.all(LORA)] == ["old", "new"]
    assert cards.state != state


def test_writing_notes_keeps_what_others_wrote(make: Callable[..., Cards], lora: Callable[..., Path]) -> None:
    notes = lora("a").with_suffix(".json")
    notes.write_text('{"model id": 7, "description": "old"}')
    cards = make()
    cards.write(only(cards), {"description": "新", "preferred_weight": 0.6, "activation_text": "glow"})
    assert json.loads(notes.read_text("utf-8")) == {
        "model id": 7, "description": "新", "preferred weight": 0.6, "activation text": "glow",
    }  # fmt: skip
    assert only(cards).told.description == "新"
    assert [path.name for path in notes.parent.iterdir() if path.name.startswith(".")] == []


def test_notes_that_cannot_be_read_are_not_written_over(make: Callable[..., Cards], lora: Callable[..., Path]) -> None:
    notes = lora("a").with_suffix(".json")
    notes.write_text('{"description": ')
    cards = make()
    with pytest.raises(NotesBroken):
        cards.write(only(cards), {"description": "new"})
    assert notes.read_text() == '{"description": '


def test_nothing_is_written_into_another_a1111s_folder(make: Callable[..., Cards], tmp_path: Path) -> None:
    home = tmp_path / "sd-webui-aki"
    path = safetensors(home / "models" / "Lora" / "theirs.safetensors", LORA_SD1)
    flags = Flags()
    flags.a1111_home = home
    cards = make(flags)
    card = only(cards)
    assert not card.own
    before = sorted(home.rglob("*"))
    for write in (lambda: cards.write(card, {"notes": "x"}), lambda: cards.write_preview(card, png(), ".png")):
        with pytest.raises(NotOurs):
            write()
    assert sorted(home.rglob("*")) == before
    assert path.exists()


def test_a_lora_is_called_by_its_trainers_name_unless_another_bears_it(
    make: Callable[..., Cards], lora: Callable[..., Path]
) -> None:
    lora("one", ss_output_name="Soft Light")
    lora("two", ss_output_name="twin")
    lora("three", ss_output_name="Twin")
    lora("four", ss_output_name="none")
    lora("five", ss_output_name="one")
    lora("six", ss_output_name="with:colon")
    cards = make()
    assert {card.record.stem: card.name for card in cards.all(LORA)} == {
        "one": "Soft Light", "two": "two", "three": "three", "four": "four", "five": "five", "six": "six",
    }  # fmt: skip
    assert {card.name for card in cards.all(LORA, aliases=False)} == {"one", "two", "three", "four", "five", "six"}


def test_every_cards_name_leads_back_to_its_own_file(make: Callable[..., Cards], lora: Callable[..., Path]) -> None:
    lora("anime/style", ss_output_name="a")
    lora("photo/style", ss_output_name="a")
    cards = make()
    for card in cards.all(LORA):
        assert cards.catalog.need(LORA, card.name).path == card.record.path


def test_a_preview_is_looked_for_in_a1111s_order(make: Callable[..., Cards], lora: Callable[..., Path]) -> None:
    path = lora("a")
    path.with_suffix(".jpg").write_bytes(png("blue", form="JPEG"))
    path.with_suffix(".preview.png").write_bytes(png("red"))
    cards = make()
    body = cards.thumbnail(only(cards))
    assert body is not None
    with Image.open(io.BytesIO(body)) as thumbnail:
        assert thumbnail.format == "WEBP"
        assert thumbnail.size == (480, 720)
        assert thumbnail.convert("RGB").getpixel((9, 9))[0] > 200  # type: ignore[index]


def test_a_picture_in_the_header_is_shown_where_none_lies_beside(
    make: Callable[..., Cards], lora: Callable[..., Path]
) -> None:
    text = base64.b64encode(png("lime", (64, 64)) + b"\0" * 20000).decode()
    lora("a", ssmd_cover_images=json.dumps([text]))
    lora("b", **{"modelspec.thumbnail": "data:image/png;base64," + base64.b64encode(png("lime", (64, 64))).decode()})
    lora("c", ssmd_cover_images="[]")
    cards = make()
    first, second, third = cards.all(LORA)
    assert cards.thumbnail(first) and cards.thumbnail(second)
    assert third.preview == "" and cards.thumbnail(third) is None


def test_a_thumbnail_is_made_once_and_anew_when_the_preview_changes(
    make: Callable[..., Cards], lora: Callable[..., Path], tmp_path: Path
) -> None:
    preview = lora("a").with_suffix(".png")
    preview.write_bytes(png("red"))
    cards = make()
    before = cards.thumbnail(only(cards))
    opened.clear()
    assert cards.thumbnail(only(cards)) == before
    assert [path for path in opened if path.endswith(".png")] == []
    preview.write_bytes(png("blue"))
    os.utime(preview, ns=(5, 5))
    cards.catalog.refresh(LORA)
    assert cards.thumbnail(only(cards)) != before
    assert len(list((tmp_path / "cache" / "thumbnails").rglob("*.webp"))) == 1


def test_what_is_no_picture_is_no_preview(make: Callable[..., Cards], lora: Callable[..., Path]) -> None:
    lora("a").with_suffix(".png").write_bytes(b"<html>sign in first</html>")
    cards = make()
    assert cards.thumbnail(only(cards)) is None


@pytest.mark.parametrize(
    ("there", "written"),
    [([], "a.webp"), (["a.jpg"], "a.png"), (["a.preview.webp"], "a.preview.webp"), (["a.gif"], "a.webp")],
)
def test_a_replaced_preview_is_the_one_that_is_found(
    make: Callable[..., Cards], lora: Callable[..., Path], there: list[str], written: str
) -> None:
    folder = lora("a").parent
    for name in there:
        (folder / name).write_bytes(png("red"))
    cards = make()
    path = cards.write_preview(only(cards), png("blue", (64, 64), "WEBP"), ".webp", infotext="a cat\nSteps: 2")
    assert path.name == written
    assert only(cards).record.preview == path
    with Image.open(path) as found:
        assert found.convert("RGB").getpixel((5, 5)) == pytest.approx((0, 0, 255), abs=6)
        if written == "a.png":
            assert found.info["parameters"] == "a cat\nSteps: 2"


def test_an_embedding_that_is_a_picture_is_never_its_own_preview(make: Callable[..., Cards], tmp_path: Path) -> None:
    inside = base64.b64encode(
        json.dumps({"string_to_param": {"*": {"TORCHTENSOR": [[0.0] * 768]}}, "name": "glow"}).encode()
    )
    info = __import__("PIL.PngImagePlugin", fromlist=["PngInfo"]).PngInfo()
    info.add_text("sd-ti-embedding", inside.decode())
    picture = tmp_path / "embeddings" / "card.png"
    picture.parent.mkdir()
    Image.new("RGB", (64, 64)).save(picture, pnginfo=info)
    before = picture.read_bytes()
    cards = make()
    card = only(cards, ModelKind.EMBEDDING)
    assert card.name == "glow"
    assert card.preview
    cards.write_preview(card, png("blue"), ".png")
    assert picture.read_bytes() == before
    assert only(cards, ModelKind.EMBEDDING).record.preview == picture.with_suffix(".preview.png")


def test_an_unknown_card_says_so(make: Callable[..., Cards]) -> None:
    with pytest.raises(UnknownCard):
        make().card(LORA, "0" * 16)
