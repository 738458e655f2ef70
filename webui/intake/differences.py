"""Why a picture made from a pasted text will differ from the one it came from: the known factors, one by one.

`differences` compares what a text tells with what is here and what is chosen now, after everything a paste puts right
by itself. Add a factor: a function from `Case` to `Difference`s, its name in `FACTORS`, its sentence in
`words/differences.py`.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from webui.catalog.chosen import NoCheckpoint, chosen_checkpoint
from webui.catalog.embeddings import Embeddings
from webui.catalog.lora_hashes import DIGITS
from webui.catalog.samplers import SAMPLERS, named_schedule
from webui.catalog.schedules import SCHEDULES
from webui.catalog.upscalers import named_upscaler
from webui.domain import ModelKind, ModelRecord
from webui.domain.errors import BadInput, MapleError, ModelGone, UnknownModel
from webui.gallery.control_text import control_words
from webui.gallery.infotext import Infotext, hashes_of, init_from, parameters, read, request_from, version_of
from webui.intake.known_labels import EXTENSIONS, OUR_BEGINNINGS, OURS
from webui.intake.lookup import Names
from webui.prompt.limits import MOST_CHARACTERS
from webui.prompt.networks import NetworkTag, extract
from webui.settings import Settings, checked, declared, flat, infotext_labels, overlay
from webui.words import say

HASHED_AT_ONCE = 64 * 2**20
"""Bytes up to which a file is hashed while somebody waits."""
MOST_NAMED = 12


class Grade(StrEnum):
    """How much a factor changes the picture."""

    LARGE = "large"
    """Another picture."""
    UNKNOWN = "unknown"
    """The text does not say; perhaps another picture."""
    SMALL = "small"
    """The same picture, other in details."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What puts a factor right: `do` is "override" (entries of Override settings), "checkpoint", "vae" or "copy"."""

    do: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One factor. `key` and `fields` are a sentence of `words`; `about` is the label in the text, or ""."""

    key: str
    grade: Grade
    about: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    action: Action | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What is here and chosen; checkpoint and VAE stand in the settings."""

    names: Names
    settings: Settings
    embeddings: Embeddings = field(default_factory=Embeddings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A text beside what is here; `told` has A1111's defaults in it, `settings` what a paste overrides."""

    text: Infotext
    told: Mapping[str, str]
    values: Mapping[str, Any]
    settings: Settings
    here: Here

    def find(self, kind: ModelKind, name: str) -> ModelRecord | None:
        return self.here.names.catalog.find(kind, name)


def differences(text: str, here: Here) -> tuple[Difference, ...]:
    """Every known factor, the weightiest first; nothing for a text without parameters."""
    infotext = read(text)
    if not infotext.fields:
        return ()
    values, overrides = request_from(infotext, settings=here.settings, lookup=here.names)
    made = Case(
        text=infotext,
        told=parameters(infotext, auto_backcompat=True),
        values=values,
        settings=overlay(here.settings, {key: value for _, key, value in overrides}),
        here=here,
    )
    found = [each for factor in FACTORS for each in factor(made)]
    order = list(Grade)
    return tuple(sorted(found, key=lambda each: order.index(each.grade)))


def view(found: Iterable[Difference], language: str) -> list[dict[str, Any]]:
    """As JSON, put into words: `text` says what differs, the action's `label` what is done about it."""
    return [
        {
            "key": each.key,
            "grade": each.grade.value,
            "about": each.about,
            "text": say(each.key, language, **each.fields),
            "action": each.action
            and {
                "do": each.action.do,
                "value": each.action.value,
                "label": say(f"differs_do_{each.action.do}", language, value=each.action.value),
            },
        }
        for each in found
    ]


# --- weights


def checkpoint(case: Case) -> Iterator[Difference]:
    """The model: missing, another file of its name, or not the one that is chosen."""
    digits, name = case.text.fields.get("Model hash", ""), case.text.fields.get("Model", "")
    if not digits and not name:
        yield Difference(key="differs_model_untold", grade=Grade.UNKNOWN, about="Model")
        return
    record = _by_hash(case, digits)
    if record is None and name:
        record = case.find(ModelKind.CHECKPOINT, name)
        record = record if record is not None and record.stem.casefold() == _stem(name).casefold() else None
        if record is not None and digits:
            fields = {"model": name, "hash": digits, "here": record.shorthash or "?"}
            known = record.shorthash is not None
            yield Difference(
                key="differs_model_hash" if known else "differs_model_unhashed",
                grade=Grade.LARGE if known else Grade.UNKNOWN,
                about="Model hash", fields=fields, action=_copied(digits),
            )  # fmt: skip
    if record is None:
        fields = {"model": name or "?", "hash": digits or "?"}
        yield Difference(
            key="differs_model_missing", grade=Grade.LARGE, about="Model", fields=fields, action=_copied(digits or name)
        )
        return
    chosen = selected(case)
    if chosen is not None and chosen.path != record.path:
        yield Difference(
            key="differs_model_other", grade=Grade.LARGE, about="Model",
            fields={"model": record.stem, "selected": chosen.stem},
            action=Action(do="checkpoint", value=record.title),
        )  # fmt: skip


def selected(case: Case) -> ModelRecord | None:
    """The checkpoint that will be used."""
    try:
        return chosen_checkpoint(case.here.names.catalog, case.settings.model.checkpoint)
    except (UnknownModel, ModelGone, NoCheckpoint):
        return None


def _by_hash(case: Case, digits: str) -> ModelRecord | None:
    record = case.find(ModelKind.CHECKPOINT, digits) if re.fullmatch(r"[0-9a-fA-F]{8,64}", digits) else None
    if record is None:
        return None
    known = (record.sha256 or "", record.legacy_hash or "")
    return record if any(each.startswith(digits.lower()) for each in known) else None


def _stem(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _copied(text: str) -> Action | None:
    """A hash or a name to search for."""
    return Action(do="copy", value=text) if text and text != "?" else None


def vae(case: Case) -> Iterator[Difference]:
    """The VAE: missing, another file of its name, or one is worn here where the text had none."""
    name, digits = case.text.fields.get("VAE", ""), case.text.fields.get("VAE hash", "")
    if name in ("None", "Automatic", ""):
        yield from _no_vae(case)
        return
    record = case.find(ModelKind.VAE, name) or (case.find(ModelKind.VAE, digits) if digits else None)
    fields = {"vae": name, "hash": digits or "?"}
    if record is None:
        action = _copied(digits or name)
        yield Difference(key="differs_vae_missing", grade=Grade.SMALL, about="VAE", fields=fields, action=action)
        return
    if digits and record.shorthash and record.shorthash != digits[:10].lower():
        fields |= {"here": record.shorthash}
        yield Difference(
            key="differs_vae_hash", grade=Grade.SMALL, about="VAE hash", fields=fields, action=_copied(digits)
        )
    worn = case.find(ModelKind.VAE, case.settings.model.vae)
    if worn is None or worn.path != record.path:
        yield Difference(
            key="differs_vae_other", grade=Grade.SMALL, about="VAE",
            fields={"vae": record.filename, "selected": case.settings.model.vae},
            action=Action(do="vae", value=record.filename),
        )  # fmt: skip


def _no_vae(case: Case) -> Iterator[Difference]:
    """A text without a VAE: before 1.6 it was never told, later it means the one in the checkpoint."""
    version = version_of(case.text.fields.get("Version"))
    chosen = selected(case)
    if chosen is None:
        return
    model = case.settings.model
    try:
        worn = case.here.names.catalog.vae_for(chosen, model.vae, overrides_per_model=model.vae_overrides)
    except MapleError:
        return
    if worn.path is None:
        return
    old = version is None or version < (1, 6, 0, 0)
    yield Difference(
        key="differs_vae_untold" if old else "differs_vae_baked", grade=Grade.UNKNOWN if old else Grade.SMALL,
        about="VAE", fields={"selected": worn.path.name}, action=Action(do="vae", value="None"),
    )  # fmt: skip


def networks(case: Case) -> Iterator[Difference]:
    """LoRAs and hypernetworks that the prompt names: missing, or another file of that name."""
    hashes = hashes_of(case.text.fields.get("Lora hashes"))
    prompts = [str(case.values.get("prompt", case.text.prompt)), case.text.fields.get("Hires prompt", "")]
    tags = [tag for prompt in prompts if len(prompt) <= MOST_CHARACTERS for tag in extract(prompt)[1]]
    seen: set[tuple[str, str]] = set()
    for tag in tags:
        if (tag.kind, tag.name) in seen or not tag.name:
            continue
        seen.add((tag.kind, tag.name))
        yield from _network(case, tag, hashes)


def _network(case: Case, tag: NetworkTag, hashes: Mapping[str, str]) -> Iterator[Difference]:
    kinds = {"lora": ModelKind.LORA, "lyco": ModelKind.LORA, "hypernet": ModelKind.HYPERNETWORK}
    kind = kinds.get(tag.kind)
    if kind is None:
        return
    record, digits = case.find(kind, tag.name), hashes.get(tag.name, "")
    about = f"{tag.kind}: {tag.name}"
    fields = {"name": tag.name, "hash": digits or "?"}
    if record is None:
        key = "differs_lora_missing" if kind is ModelKind.LORA else "differs_hypernet_missing"
        action = _copied(digits or tag.name)
        yield Difference(key=key, grade=Grade.LARGE, about=about, fields=fields, action=action)
        return
    here = _lora_digits(case, record) if kind is ModelKind.LORA else ""
    if digits and here and not (here.startswith(digits[:DIGITS]) or digits.startswith(here)):
        fields |= {"here": here}
        yield Difference(key="differs_lora_hash", grade=Grade.LARGE, about=about, fields=fields, action=_copied(digits))


def _lora_digits(case: Case, record: ModelRecord) -> str:
    """A LoRA's hash when it is known or quickly known."""
    if not record.metadata.get("sshs_model_hash") and record.size > HASHED_AT_ONCE:
        return ""
    try:
        return case.here.names.lora_hashes.short(record, case.here.names.catalog)
    except (MapleError, OSError):
        return ""


def controls(case: Case) -> Iterator[Difference]:
    """ControlNet units: their pictures, which no text carries, models and preprocessors."""
    names = case.here.names
    for label, text in case.text.fields.items():
        told = control_words(label, text)
        if told is None:
            continue
        model, module = told.get("model", ""), told.get("module", "")
        if model not in ("", "None") and names.controlnet(model) is None:
            yield Difference(
                key="differs_control_missing", grade=Grade.LARGE, about=label, fields={"name": model},
                action=_copied(model),
            )  # fmt: skip
        if module and names.detector(module) is None:
            fields = {"name": module}
            yield Difference(key="differs_detector_missing", grade=Grade.LARGE, about=label, fields=fields)
        yield Difference(key="differs_control_picture", grade=Grade.LARGE, about=label, fields={"unit": label})


def embeddings(case: Case) -> Iterator[Difference]:
    """Embeddings by the hashes of the text."""
    catalog = case.here.names.catalog
    known = {name.casefold(): each for name, each in case.here.embeddings.read(catalog).items()}
    for name, digits in hashes_of(case.text.fields.get("TI hashes")).items():
        found, fields = known.get(name.casefold()), {"name": name, "hash": digits or "?"}
        if found is None:
            yield Difference(
                key="differs_embedding_missing", grade=Grade.LARGE, about=name, fields=fields,
                action=_copied(digits or name),
            )  # fmt: skip
            continue
        whole = found.record.sha256
        if whole is None and catalog.hashes and found.record.size <= HASHED_AT_ONCE:
            try:
                whole = catalog.hash(found.record)
            except (MapleError, OSError):
                whole = None
        if digits and whole and not whole.startswith(digits):
            fields |= {"here": whole[:DIGITS]}
            yield Difference(
                key="differs_embedding_hash", grade=Grade.LARGE, about=name, fields=fields, action=_copied(digits)
            )


# --- how it was made


def sampler(case: Case) -> Iterator[Difference]:
    """A sampler or schedule that is not here."""
    told = case.text.fields.get("Sampler")
    if told and "sampler" not in case.values:
        near = difflib.get_close_matches(told, SAMPLERS.names(), n=1, cutoff=0)
        yield Difference(
            key="differs_sampler", grade=Grade.LARGE, about="Sampler",
            fields={"name": told, "closest": near[0] if near else "Euler"},
        )  # fmt: skip
    for label in ("Schedule type", "Hires schedule type"):
        name = case.text.fields.get(label, "Automatic")
        try:
            if not name.startswith("Use same"):
                named_schedule(name)
        except BadInput:
            near = difflib.get_close_matches(name, SCHEDULES.names(), n=1, cutoff=0)
            yield Difference(
                key="differs_schedule", grade=Grade.LARGE, about=label,
                fields={"name": name, "closest": near[0] if near else "Automatic"},
            )  # fmt: skip


def second_pass(case: Case) -> Iterator[Difference]:
    """Upscaler, checkpoints of the second pass and of the refiner."""
    catalog, told = case.here.names.catalog, case.text.fields
    if upscaler := told.get("Hires upscaler"):
        try:
            named_upscaler(catalog, upscaler)
        except MapleError:
            yield Difference(
                key="differs_upscaler", grade=Grade.LARGE, about="Hires upscaler", fields={"name": upscaler},
                action=_copied(upscaler),
            )  # fmt: skip
    for label in ("Hires checkpoint", "Refiner"):
        name = told.get(label, "")
        if name and not name.startswith("Use same") and case.find(ModelKind.CHECKPOINT, name) is None:
            yield Difference(
                key="differs_second_model", grade=Grade.LARGE, about=label, fields={"label": label, "name": name},
                action=_copied(name),
            )  # fmt: skip


def settings(case: Case) -> Iterator[Difference]:
    """Settings the text names that a paste leaves as they are: on the skip list, or with values nobody understands."""
    now = flat(case.settings)
    seen: set[str] = set()
    for label, key in infotext_labels().items():
        text = case.told.get(label)
        if text is None or key in seen or key in ("model.checkpoint", "model.vae") or declared()[key].locked:
            continue
        seen.add(key)
        try:
            value = checked(declared()[key], text)
        except BadInput:
            if label in case.text.fields:
                fields = {"label": label, "told": text}
                yield Difference(key="differs_setting_bad", grade=Grade.UNKNOWN, about=label, fields=fields)
            continue
        if value == now[key]:
            continue
        rule = label in RULES
        fields = {"label": label, "told": text, "here": now[key], "version": case.text.fields.get("Version", "?")}
        yield Difference(
            key="differs_version_rule" if rule and label not in case.text.fields else "differs_setting",
            grade=Grade.LARGE, about=label, fields=fields, action=Action(do="override", value=f"{label}: {text}"),
        )  # fmt: skip


RULES = ("Old prompt editing timelines", "Pad conds v0", "Downcast alphas_cumprod", "Refiner switch by sampling steps")
"""What `parameters` adds to texts of older versions."""


def version(case: Case) -> Iterator[Difference]:
    """Rules of older versions that cannot be switched here, and texts that tell no version at all."""
    told = case.text.fields.get("Version")
    known = infotext_labels()
    for label in RULES:
        if case.told.get(label) == "True" and label not in known:
            fields = {"label": label, "version": told or "?"}
            yield Difference(key="differs_version_unset", grade=Grade.SMALL, about="Version", fields=fields)
    if told is not None or "App" in case.text.fields:
        return
    timeline = "Old prompt editing timelines"
    if re.search(r"\[[^\[\]]*:[^\[\]]*\]", case.text.prompt) and timeline in known and timeline not in case.text.fields:
        action = Action(do="override", value=f"{timeline}: True")
        yield Difference(key="differs_version_untold", grade=Grade.UNKNOWN, about="Version", action=action)


PROGRAMS = (
    (re.compile(r"f\d|.*\bforge|neo\b", re.IGNORECASE), "Forge"),
    (re.compile(r".*ComfyUI", re.IGNORECASE), "ComfyUI"),
    (re.compile(r".*Fooocus", re.IGNORECASE), "Fooocus"),
    (re.compile(r".*InvokeAI", re.IGNORECASE), "InvokeAI"),
)


def program(case: Case) -> Iterator[Difference]:
    """Other programs, which draw noise or weigh words in their own way."""
    told, name = case.text.fields.get("Version", ""), case.text.fields.get("App", "")
    name = next((known for mark, known in PROGRAMS if mark.match(told)), name)
    if name and not name.startswith("Maple"):
        yield Difference(key="differs_program", grade=Grade.UNKNOWN, about="Version", fields={"program": name[:40]})


def noise(case: Case) -> Iterator[Difference]:
    """Where the noise comes from, and seeds that the text does not tell."""
    if "Seed" not in case.text.fields:
        yield Difference(key="differs_seed_untold", grade=Grade.LARGE, about="Seed")
    if "RNG" not in case.text.fields and case.settings.sampling.noise_source == "GPU":
        yield Difference(
            key="differs_noise_gpu", grade=Grade.UNKNOWN, about="RNG", action=Action(do="override", value="RNG: CPU")
        )


def size(case: Case) -> Iterator[Difference]:
    """Sizes that no latent has."""
    width, height = case.values.get("width"), case.values.get("height")
    if isinstance(width, int) and isinstance(height, int) and (width % 8 or height % 8):
        fields = {"width": width, "height": height, "made": f"{width // 8 * 8}×{height // 8 * 8}"}
        yield Difference(key="differs_size", grade=Grade.SMALL, about="Size", fields=fields)


def init(case: Case) -> Iterator[Difference]:
    """Pictures that started from a picture, which no text carries."""
    found = init_from(case.text)
    if found is not None:
        masked = found.inpaint is not None
        key = "differs_init_mask" if masked else "differs_init"
        yield Difference(key=key, grade=Grade.LARGE, about="Denoising strength")


# --- what is not built here, or not by us


def labels(case: Case) -> Iterator[Difference]:
    """Labels of extensions, and those nobody here knows."""
    ours, known = OURS | infotext_labels().keys(), infotext_labels()
    whose: dict[str, None] = {}
    strange: list[str] = []
    for label, text in case.text.fields.items():
        if label in known or (label == "FP8 weight" and text == "Disable"):
            continue
        owner = next((name for beginning, name in EXTENSIONS if label.startswith(beginning)), None)
        if owner:
            whose[owner] = None
        elif owner is None and label not in ours and not label.startswith(OUR_BEGINNINGS):
            strange.append(label)
    for name in list(whose)[:MOST_NAMED]:
        yield Difference(key="differs_extension", grade=Grade.LARGE, about=name, fields={"name": name})
    if strange:
        fields = {"names": [label[:40] for label in strange[:MOST_NAMED]]}
        yield Difference(key="differs_labels", grade=Grade.UNKNOWN, fields=fields)


def arithmetic(case: Case) -> Iterator[Difference]:
    """What no text tells: precision, card, and how many pictures were made at once."""
    if (together := case.text.fields.get("Batch size", "1")) not in ("1", "0"):
        yield Difference(key="differs_batch", grade=Grade.SMALL, about="Batch size", fields={"count": together})
    yield Difference(key="differs_precision", grade=Grade.SMALL)


FACTORS: tuple[Callable[[Case], Iterator[Difference]], ...] = (
    checkpoint, networks, controls, embeddings, vae, sampler, second_pass, init, settings, version, program, noise,
    size, labels, arithmetic,
)  # fmt: skip
