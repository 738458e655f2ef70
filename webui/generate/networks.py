"""`<lora:name:0.8>` and `<hypernet:name>` in a prompt: tags → files of the catalog → patches, and what is told of them.

The tags of the first prompt of each batch count for the whole batch, as in A1111. Nothing here fails a run: a tag that
cannot be followed is left out and said. Add a kind: its row in `KINDS` and its patch in `patches`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webui.catalog import Catalog
from webui.catalog.beside import family_of
from webui.catalog.lora_hashes import DIGITS, LoraHashes
from webui.catalog.names import plain
from webui.domain import Family, ModelKind, ModelRecord
from webui.domain.errors import ModelGone, UnknownModel
from webui.engine.model import LoadedModel
from webui.engine.patches import Patch
from webui.engine.patches.hypernetwork import Hypernetwork, Hypernetworks
from webui.engine.patches.lora import Lora, Merged
from webui.prompt.compose import split_and
from webui.prompt.networks import NetworkTag, extract
from webui.prompt.schedule import schedule
from webui.settings import Networks

Note = tuple[str, dict[str, Any]]

KINDS: Mapping[str, ModelKind] = {
    "lora": ModelKind.LORA,
    "lyco": ModelKind.LORA,
    "hypernet": ModelKind.HYPERNETWORK,
}
"""First words of a tag → what it names."""
EXAMPLES = {ModelKind.LORA: "<lora:{name}:0.8>", ModelKind.HYPERNETWORK: "<hypernet:{name}:0.8>"}
MOST_NAMED = 5
"""Names in one sentence."""
UNREAD: Mapping[str, str] = {"glora": "GLoRA", "ia3": "IA³", "oft": "OFT", "boft": "BOFT"}
"""Kinds of adapters whose files are known and not merged yet, by the catalog's variant."""
FORBIDDEN = frozenset({"none", "addams"})
"""Inner names that A1111 never follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One tag followed. `name`: as it was written."""

    record: ModelRecord
    name: str
    te: float = 1.0
    unet: float = 1.0
    """A hypernetwork's one strength."""
    dyn: int | None = None


def named(prompt: str, catalog: Catalog, checkpoint: ModelRecord) -> tuple[list[Network], list[Note]]:
    """The networks a prompt names for that checkpoint, in order, and what the person should know of the others."""
    found: list[Network] = []
    notes: list[Note] = []
    for tag in extract(prompt)[1]:
        answer = _followed(tag, catalog, checkpoint)
        if isinstance(answer, Network):
            found.append(answer)
        else:
            notes.append(answer)
    return found, notes


def with_defaults(prompt: str, asked: Networks) -> str:
    """A prompt with the tags that the settings add to every one, unless it names these networks itself."""
    tags = extract(prompt)[1]
    for kind, name in (("lora", asked.lora), ("hypernet", asked.hypernetwork)):
        if name in ("", "None") or any(tag.name == name and KINDS.get(tag.kind) is KINDS[kind] for tag in tags):
            continue
        prompt += f"<{kind}:{name}:{asked.default_multiplier:g}>"
    return prompt


def notes(prompts: Iterable[str], catalog: Catalog, checkpoint: ModelRecord) -> list[Note]:
    """What is to be said of these prompts' tags, each thing once."""
    told: list[Note] = []
    for prompt in dict.fromkeys(prompts):
        told += [note for note in named(prompt, catalog, checkpoint)[1] if note not in told]
    return told


def _followed(tag: NetworkTag, catalog: Catalog, checkpoint: ModelRecord) -> Network | Note:
    written = ":".join((tag.kind, *tag.items))
    kind = KINDS.get(tag.kind)
    if kind is None:
        return "network_not_yet", {"tag": written}
    try:
        record = catalog.need(kind, tag.name)
    except UnknownModel as unknown:
        return "network_unknown", {"tag": written, **{key: unknown.fields[key] for key in ("searched", "closest")}}
    except ModelGone as gone:
        return "network_gone", {"tag": written, "path": gone.fields["path"]}
    alike = _alike(tag.name, record, catalog) if kind is ModelKind.LORA else []
    if alike:
        return "network_ambiguous", {"tag": written, "files": alike}
    unread = UNREAD.get(record.variant.rpartition(" ")[2])
    if unread is not None and kind is ModelKind.LORA:
        return "network_kind_not_yet", {"name": record.stem, "kind": unread}
    if not fits(family_of(record), checkpoint.family):
        return _misfit(record, catalog, checkpoint)
    try:
        return _with_strengths(tag, kind, record)
    except ValueError:
        return "network_bad_number", {"tag": written, "example": EXAMPLES[kind].format(name=tag.name)}


def fits(family: Family, wanted: Family) -> bool:
    """Whether an adapter for one family is for models of another. What is not known is tried."""
    return Family.UNKNOWN in (family, wanted) or family is wanted


def _misfit(record: ModelRecord, catalog: Catalog, checkpoint: ModelRecord) -> Note:
    told = {
        "name": record.stem, "family": family_of(record).value, "model": checkpoint.stem,
        "needed": checkpoint.family.value,
    }  # fmt: skip
    same = [each.stem for each in catalog.models(record.kind) if family_of(each) is checkpoint.family]
    models = [each.stem for each in catalog.models(ModelKind.CHECKPOINT) if each.family is family_of(record)]
    if same:
        return "network_misfit", told | {"fitting": same[:MOST_NAMED]}
    if models:
        return "network_misfit_model", told | {"fitting": models[:MOST_NAMED]}
    return "network_misfit_none", told


def embedding_misfit(name: str, widths: Sequence[int], needed: str, *, fitting: Sequence[str]) -> Note:
    """An embedding of other widths than the model's text encoders have, with installed ones that would do."""
    told: dict[str, Any] = {"name": name, "width": list(widths), "needed": needed}
    if not fitting:
        return "embedding_misfit_none", told
    return "embedding_misfit", told | {"fitting": list(fitting[:MOST_NAMED])}


def _alike(name: str, record: ModelRecord, catalog: Catalog) -> list[str]:
    """Files that share the inner name by which this one was found, so that it leads nowhere, as in A1111; else []."""
    wanted = plain(name).casefold()
    inner = record.metadata.get("ss_output_name", "").casefold()
    if wanted != inner or wanted in {part.casefold() for part in own_names(record)}:
        return []
    same = [
        each.stem
        for each in catalog.models(ModelKind.LORA)
        if each.metadata.get("ss_output_name", "").casefold() == inner
    ]
    return same if len(same) > 1 or inner in FORBIDDEN else []


def own_names(record: ModelRecord) -> list[str]:
    """What a file may be called by without looking into it."""
    return [record.stem, record.name, record.filename, record.title, *record.aliases]


def _with_strengths(tag: NetworkTag, kind: ModelKind, record: ModelRecord) -> Network:
    """Positions te, unet, dyn, each also by name; unet is te's when not given. Raises ValueError."""
    given, named = dict(enumerate(tag.positional)), tag.named
    if kind is ModelKind.HYPERNETWORK:
        strength = _number(given.get(1, 1.0))
        return Network(record=record, name=tag.name, te=0.0, unet=strength)
    te = _number(named.get("te", given.get(1, 1.0)))
    unet = _number(named.get("unet", given.get(2, te)))
    dyn = named.get("dyn", given.get(3))
    return Network(record=record, name=tag.name, te=te, unet=unet, dyn=None if dyn is None else int(dyn))


def _number(text: str | float) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def patches(found: Sequence[Network]) -> list[Patch]:
    """What a model wears for these."""
    loras, hypernetworks = _loras(found), _of(found, ModelKind.HYPERNETWORK)
    worn: list[Patch] = []
    if loras:
        worn.append(Merged(loras))
    if hypernetworks:
        worn.append(
            Hypernetworks(
                tuple(
                    Hypernetwork(
                        path=each.record.path, strength=each.unet, size=each.record.size, mtime_ns=each.record.mtime_ns
                    )
                    for each in hypernetworks
                )
            )
        )
    return worn


def loras(found: Sequence[Network]) -> list[ModelRecord]:
    """The LoRAs' records: embeddings may be bundled in them."""
    return [each.record for each in _of(found, ModelKind.LORA)]


def worn_by_text(found: Sequence[Network]) -> tuple[Lora, ...]:
    """What the text encoder is changed by: text states depend on it."""
    return tuple(lora.of_text for lora in _loras(found) if lora.of_text is not None)


def worn_notes(model: LoadedModel, worn: Iterable[Patch]) -> list[Note]:
    """How well what is worn fits."""
    return [note for patch in worn if isinstance(patch, Merged | Hypernetworks) for note in patch.notes(model)]


def hashes(found: Sequence[Network], known: LoraHashes, catalog: Catalog) -> dict[str, str]:
    """`Lora hashes` as infotexts have it; empty when no hash is known."""
    told = {
        _plain(each.name): known.short(each.record, catalog)
        for each in _of(found, ModelKind.LORA)
    }  # fmt: skip
    return _listed("Lora hashes", told)


def texts_of(prompts: Iterable[str], negatives: Iterable[str], *, steps: int) -> list[str]:
    """Every plain text these prompts (without tags) and negative prompts become in the course of a pass."""
    parts = [part for prompt in prompts for part, _ in split_and(prompt)]
    return [variant for part in dict.fromkeys([*parts, *negatives]) for _, variant in schedule(part, steps)]


def embedding_hashes(used: Iterable[tuple[str, ModelRecord]], catalog: Catalog) -> dict[str, str]:
    """`TI hashes` as infotexts have it; empty when no hash is known. One bundled in a LoRA goes by that one's."""
    own = [(name, record) for name, record in used if record.kind is ModelKind.EMBEDDING]
    return _listed("TI hashes", {_plain(name): catalog.hash(record)[:DIGITS] for name, record in own})


def _listed(key: str, told: Mapping[str, str]) -> dict[str, str]:
    text = ", ".join(f"{name}: {digits}" for name, digits in told.items() if digits)
    return {key: text} if text else {}


def _plain(name: str) -> str:
    return name.replace(":", "").replace(",", "")


def _of(found: Sequence[Network], kind: ModelKind) -> list[Network]:
    return [each for each in found if each.record.kind is kind]


def _loras(found: Sequence[Network]) -> tuple[Lora, ...]:
    return tuple(
        Lora(
            path=each.record.path, te=each.te, unet=each.unet, dyn=each.dyn, size=each.record.size,
            mtime_ns=each.record.mtime_ns,
        )
        for each in _of(found, ModelKind.LORA)
    )  # fmt: skip
