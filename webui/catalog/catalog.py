"""The models on disk: names at once, headers after them, hashes when nobody is working.

Readers take a snapshot and never wait; a walk, a reading of headers or a hash makes the next snapshot.
"""

import difflib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from webui.catalog import hashing
from webui.catalog.a1111_hashes import A1111Hashes
from webui.catalog.identify import VERSION, identify, mismatch
from webui.catalog.names import Names
from webui.catalog.places import FROM_HOME, Folder
from webui.catalog.sniff import sniff
from webui.catalog.store import Facts, Metadata, Reasons, Remembered, Store
from webui.catalog.walk import ANNOTATORS, Listed, Walked, order, walk
from webui.domain import ModelFormat, ModelKind, ModelRecord
from webui.domain.errors import BrokenFile, ModelGone, UnknownModel

PAIRED = frozenset({ModelKind.CHECKPOINT, ModelKind.VAE})
"""Walked together: a VAE may lie beside its checkpoint."""
AUTOMATIC = "Automatic"
NONE = "None"
BETWEEN_SNAPSHOTS = 0.5
"""Seconds: how often a long reading of headers shows what it has."""
BETWEEN_HASHES = 5.0
"""Seconds: the same for hashes found in the background."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """What a scan met. `opened` counts files whose header was read."""

    models: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    absent: int = 0
    opened: int = 0
    pending: int = 0
    missing: tuple[Path, ...] = ()
    """Folders named by a flag that are not there: what they held is kept, absent, until they come back."""
    denied: tuple[tuple[Path, str], ...] = ()
    """Places that could not be looked into, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeChoice:
    """Which VAE decodes; `path` and `record` None: the one in the checkpoint.

    `source` says who chose: "--vae-path", "setting", "model" (the user's notes beside it), "same name", "baked in".
    """

    path: Path | None = None
    record: ModelRecord | None = None
    source: str = "baked in"


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """One kind's records in order, and their names."""

    records: tuple[ModelRecord, ...] = ()
    names: Names = field(default_factory=lambda: Names(()))
    absent: tuple[ModelRecord, ...] = ()


class Catalog:
    """Models by kind. `scan` is `walk` (names) then `read_headers`; the second may run in the background.

    `vae_path` is `--vae-path`; `a1111_home` a folder whose hash cache is believed; with `hashes=False`
    (`--no-hashing`) no hash is computed; `hidden=False` leaves out names that begin with a dot. `annotators`: the
    folders of preprocessors' files (`annotators.annotator_folders`).
    """

    def __init__(
        self,
        database: Path,
        folders: Mapping[ModelKind, Sequence[Folder]],
        *,
        vae_path: Path | None = None,
        a1111_home: Path | None = None,
        hashes: bool = True,
        hidden: bool = True,
        annotators: Sequence[Path] = (),
    ) -> None:
        self._folders = {kind: tuple(places) for kind, places in folders.items()}
        self._vae_path = vae_path
        self._known_hashes = A1111Hashes(a1111_home) if a1111_home else None
        self._hashes = hashes
        self._hidden = hidden
        self._annotators = tuple(annotators)
        self._store = Store(database)
        self._facts = self._store.facts()
        self._remembered: dict[tuple[str, str], Remembered] = {row[:2]: row for row in self._store.listed()}
        self._listed: dict[ModelKind, tuple[Listed, ...]] = {}
        self._absent: dict[ModelKind, tuple[Remembered, ...]] = {}
        self._snapshots: dict[ModelKind, _Snapshot] = {}
        self._made_of: dict[tuple[ModelKind, Path], tuple[Listed, Facts | None, ModelRecord]] = {}
        self._scanning = threading.RLock()
        self._changing = threading.RLock()
        self._watchers: list[Callable[[], None]] = []
        self._version = 0
        self._stopped = threading.Event()
        self._worker: threading.Thread | None = None

    # Reading

    @property
    def version(self) -> int:
        """Rises with every change of what is listed."""
        return self._version

    @property
    def hashes(self) -> bool:
        """False with --no-hashing: then none is computed."""
        return self._hashes

    def models(self, kind: ModelKind) -> list[ModelRecord]:
        """What can be chosen, in A1111's order."""
        return list(self._snapshot(kind).records)

    def absent(self, kind: ModelKind) -> list[ModelRecord]:
        """What was listed and lies where nothing can be seen just now (a drive unplugged, no permission)."""
        return list(self._snapshot(kind).absent)

    def find(self, kind: ModelKind, name: str) -> ModelRecord | None:
        """By A1111's order: exact name, title or hash; then part of a title; then both again without ` [hash]`."""
        names = self._snapshot(kind).names
        found = names.find(name, partly=kind in (ModelKind.CHECKPOINT, ModelKind.CONTROLNET))
        if (
            found is None
            and kind in (ModelKind.CHECKPOINT, ModelKind.CONTROLNET)
            and re.fullmatch(r"[0-9a-fA-F]{8}", name)
        ):
            return self._by_legacy_hash(kind, name.lower())
        return found

    def need(self, kind: ModelKind, name: str) -> ModelRecord:
        """As `find`. Raises UnknownModel, or ModelGone when the file that was listed is not there."""
        snapshot = self._snapshot(kind)
        found = snapshot.names.find(name, partly=False)
        if found is None:
            gone = Names(snapshot.absent).find(name, partly=False)
            if gone is not None:
                raise ModelGone(name=gone.name, path=str(gone.path))
            found = self.find(kind, name)
        if found is None:
            raise UnknownModel(
                kind=str(kind),
                name=name,
                searched=[str(folder) for folder in self.searched(kind)],
                closest=self._closest(snapshot, name),
            )
        if not os.path.exists(found.path):
            raise ModelGone(name=found.name, path=str(found.path))
        return found

    def searched(self, kind: ModelKind) -> list[Path]:
        """The folders where models of this kind are looked for."""
        return [folder.path for folder in self._folders.get(kind, ())]

    @property
    def annotators(self) -> tuple[Path, ...]:
        """The folders where files of preprocessors are looked for; what is fetched goes into the first."""
        return self._annotators or tuple(path / ANNOTATORS for path in self.searched(ModelKind.CONTROLNET))

    def own(self, kind: ModelKind) -> list[Path]:
        """Folders of a kind that may be written to: another A1111's are used in place and never changed."""
        folders = self._folders.get(kind, ())
        return [folder.path for folder in folders if folder.origin != FROM_HOME and folder.path.is_dir()]

    def reasons(self, record: ModelRecord) -> Reasons:
        """(rule, why not) for every rule that did not take this file; for a broken one, what is wrong with it."""
        facts = self._facts.get(str(record.path))
        if facts is not None and facts.trouble:
            return ((facts.trouble, facts.detail),)
        if facts is not None and facts.refused:
            return tuple(("model_unsafe", name) for name in facts.refused)
        return self._store.reasons(str(record.path))

    def metadata(self, record: ModelRecord) -> Mapping[str, str]:
        """All of `__metadata__`, with the long values that the record leaves out. Raises BrokenFile, OSError."""
        return sniff(record.path).metadata

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after every change, from the thread that made it. Gives a function that ends it."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback) if callback in self._watchers else None

    def vae_for(self, checkpoint: ModelRecord, chosen: str, *, overrides_per_model: bool = True) -> VaeChoice:
        """A1111's order: --vae-path; the setting, if it overrides; the user's note; the same name; the setting.

        `chosen` is "Automatic", "None" (the one in the checkpoint) or a name, for which this may raise UnknownModel or
        ModelGone.
        """
        if self._vae_path is not None:
            if not os.path.exists(self._vae_path):
                raise ModelGone(name=self._vae_path.name, path=str(self._vae_path))
            return self._vae(self._vae_path, "--vae-path")
        is_chosen = chosen not in ("", AUTOMATIC)
        if is_chosen and overrides_per_model:
            return self._chosen_vae(chosen)
        noted = _note(checkpoint, "vae")
        if noted == NONE:
            return VaeChoice(source="model")
        if noted and noted != AUTOMATIC and (record := self.find(ModelKind.VAE, noted)):
            return VaeChoice(path=record.path, record=record, source="model")
        if checkpoint.vae is not None and os.path.exists(checkpoint.vae):
            return self._vae(checkpoint.vae, "same name")
        return self._chosen_vae(chosen) if is_chosen else VaeChoice()

    def _chosen_vae(self, chosen: str) -> VaeChoice:
        if chosen == NONE:
            return VaeChoice(source="setting")
        record = self.need(ModelKind.VAE, chosen)
        return VaeChoice(path=record.path, record=record, source="setting")

    def _vae(self, path: Path, source: str) -> VaeChoice:
        listed = (vae for vae in self._snapshot(ModelKind.VAE).records if vae.path == path)
        record = next(listed, None) or ModelRecord(kind=ModelKind.VAE, name=path.stem, path=path, root=path.parent)
        return VaeChoice(path=path, record=record, source=source)

    # Scanning

    def scan(self) -> ScanReport:
        """`walk`, then `read_headers`."""
        walked = self.walk()
        read = self.read_headers()
        return replace(walked, opened=read.opened, pending=read.pending)

    def refresh(self, kind: ModelKind | None = None) -> ScanReport:
        """`scan` of everything, or of the folders of one kind (with a checkpoint's VAEs, and the other way round)."""
        if kind is None:
            return self.scan()
        walked = self.walk({kind})
        read = self.read_headers({kind})
        return replace(walked, opened=read.opened, pending=read.pending)

    def walk(self, kinds: Iterable[ModelKind] | None = None) -> ScanReport:
        """Names only; what is known of unchanged files is there at once, the rest after `read_headers`."""
        with self._scanning:
            wanted = frozenset(self._folders if kinds is None else kinds)
            if wanted & PAIRED:
                wanted |= PAIRED
            walked = walk(
                {kind: places for kind, places in self._folders.items() if kind in wanted}, hidden=self._hidden
            )
            before = self._version
            report = self._take(walked, wanted | {one.kind for one in walked.listed})
        self._tell(self._version != before)
        return report

    def _take(self, walked: Walked, kinds: frozenset[ModelKind]) -> ScanReport:
        now = {(str(one.kind), str(one.path)): one for one in walked.listed}
        places = {str(folder.path.absolute()) for kind in kinds for folder in self._folders.get(kind, ())}
        # What lies below a folder that nobody names today is left as it is: the flag may come back, and its hashes too.
        before = {
            key: row
            for key, row in self._remembered.items()
            if key[0] in kinds and not places.isdisjoint((row[1], row[3]))
        }
        lost = [row for key, row in before.items() if key not in now]
        absent = {row for row in lost if _is_below(Path(row[1]), walked.unknown)}
        gone = [row for row in lost if row not in absent]
        added = [_remember(one) for key, one in now.items() if before.get(key) != _remember(one)]
        changed = sum(
            1
            for one in walked.listed
            if (known := self._facts.get(str(one.path))) and not known.of(one.size, one.mtime_ns)
        )
        self._store.relist(added, gone)
        with self._changing:
            self._remembered.update({row[:2]: row for row in added})
            for row in gone:
                self._remembered.pop(row[:2], None)
                self._made_of.pop((ModelKind(row[0]), Path(row[1])), None)
            for kind in kinds:
                self._listed[kind] = tuple(sorted((one for one in walked.listed if one.kind is kind), key=order))
                self._absent[kind] = tuple(sorted(row for row in absent if row[0] == kind))
            listed = {str(one.path) for ones in self._listed.values() for one in ones}
            kept = {row[1] for row in absent}
            for row in gone:
                if row[1] not in listed and row[1] not in kept:
                    self._facts.pop(row[1], None)
            self._publish(kinds)
        return ScanReport(
            models=len(walked.listed),
            added=sum(1 for row in added if row[:2] not in before),
            changed=changed,
            removed=len(gone),
            absent=len(absent),
            pending=len(self._unread()),
            missing=tuple(walked.missing),
            denied=tuple(walked.denied),
        )

    def read_headers(
        self, kinds: Iterable[ModelKind] | None = None, *, may_go_on: Callable[[], bool] = lambda: True
    ) -> ScanReport:
        """Read the header of every new or changed file (of these kinds); records are updated as it goes.

        `may_go_on` is asked before every file. Several threads may read at once: no lock is held meanwhile, so a page
        that refreshes one kind does not wait for a long first reading of all.
        """
        opened = 0
        batch: list[tuple[Facts, Reasons]] = []
        shown, pause = time.monotonic(), BETWEEN_SNAPSHOTS
        for one in self._unread(kinds):
            if not may_go_on():
                break
            batch.append(self._read(one))
            opened += 1
            if time.monotonic() - shown > pause:
                started = time.monotonic()
                self._learn(batch)
                batch.clear()
                shown = time.monotonic()
                # Showing ten thousand records takes its time too: at most a tenth of the reading.
                pause = max(BETWEEN_SNAPSHOTS, 10 * (shown - started))
        self._learn(batch)
        models = sum(map(len, self._listed.values()))
        return ScanReport(models=models, opened=opened, pending=len(self._unread(kinds)))

    def _unread(self, kinds: Iterable[ModelKind] | None = None) -> list[Listed]:
        """Files whose header is not known as they are now, each once."""
        waiting: dict[Path, Listed] = {}
        listed = dict(self._listed)
        for kind in listed if kinds is None else kinds:
            for one in listed.get(kind, ()):
                facts = self._facts.get(str(one.path))
                if not one.unfinished and (facts is None or not facts.known or not facts.of(one.size, one.mtime_ns)):
                    waiting.setdefault(one.path, one)
        return list(waiting.values())

    def _read(self, one: Listed) -> tuple[Facts, Reasons]:
        facts = Facts(path=str(one.path), size=one.size, mtime_ns=one.mtime_ns, rules=VERSION, format=one.format)
        try:
            header = sniff(one.path)
        except BrokenFile as error:
            return replace(facts, trouble="model_broken", detail=str(error.fields.get("reason", ""))), ()
        except OSError as error:
            # Permissions change without a new time on the file, so it is tried again at the next scan.
            return replace(facts, rules=0, trouble="model_unreadable", detail=error.strerror or str(error)), ()
        except Exception as error:  # a file from outside must not end the scan of the others
            log.exception("the header of %s could not be read", one.path)
            return replace(facts, trouble="model_broken", detail=f"{type(error).__name__}: {error}"), ()
        identity = identify(header, one.path.name)
        facts = replace(facts, format=header.format, refused=header.refused, metadata=Metadata.of(header.metadata))
        if identity.found is not None:
            found = identity.found
            facts = replace(facts, kind=found.kind, family=found.family, variant=found.variant)
        return facts, identity.reasons

    def _learn(self, batch: Sequence[tuple[Facts, Reasons]]) -> None:
        """Take what was read of files that are still listed as they were when they were read."""
        if not batch:
            return
        with self._changing:
            holders: dict[str, list[Listed]] = {}
            for ones in self._listed.values():
                for one in ones:
                    holders.setdefault(str(one.path), []).append(one)
            kept: list[tuple[Facts, Reasons]] = []
            kinds: set[ModelKind] = set()
            for facts, reasons in batch:
                current = [one for one in holders.get(facts.path, ()) if facts.of(one.size, one.mtime_ns)]
                if current:
                    kept.append((self._with_hashes(facts), reasons))
                    kinds.update(one.kind for one in current)
            self._store.keep(kept)
            self._facts.update({facts.path: facts for facts, _ in kept})
            is_new = self._publish(kinds)
        self._tell(is_new)

    def _with_hashes(self, facts: Facts) -> Facts:
        """The hashes that came while the header was read."""
        old = self._facts.get(facts.path)
        if old is None or not old.of(facts.size, facts.mtime_ns):
            return facts
        return replace(facts, sha256=old.sha256, legacy=old.legacy)

    # Snapshots

    def _snapshot(self, kind: ModelKind) -> _Snapshot:
        return self._snapshots.get(kind, _Snapshot())

    def _publish(self, kinds: Iterable[ModelKind]) -> bool:
        """Make new snapshots of these kinds, under `_changing`; whether one differs, and watchers are to be told."""
        changed = False
        for kind in kinds:
            records = tuple(map(self._made, self._listed.get(kind, ())))
            absent = tuple(self._absent_record(row) for row in self._absent.get(kind, ()))
            old = self._snapshot(kind)
            if (records, absent) != (old.records, old.absent):
                self._snapshots[kind] = _Snapshot(records, Names(records), absent)
                changed = True
        self._version += changed
        return changed

    def _tell(self, is_new: bool) -> None:
        """Call the watchers, with no lock held: one may wait for a thread that needs it."""
        for watcher in list(self._watchers) if is_new else ():
            watcher()

    def _made(self, one: Listed) -> ModelRecord:
        """The record of what is listed; made once for the same listing and the same facts."""
        facts = self._facts.get(str(one.path))
        old = self._made_of.get((one.kind, one.path))
        if old is not None and old[0] == one and old[1] is facts:
            return old[2]
        record = self._record(one, facts)
        self._made_of[one.kind, one.path] = (one, facts, record)
        return record

    def _record(self, one: Listed, facts: Facts | None) -> ModelRecord:
        if facts is not None and not facts.of(one.size, one.mtime_ns):
            facts = None
        record = ModelRecord(
            kind=one.kind,
            name=one.name,
            path=one.path,
            root=one.root,
            format=one.format,
            size=one.size,
            mtime_ns=one.mtime_ns,
            vae=one.vae,
            preview=one.preview,
            config=one.config,
            notes=one.notes,
            beside=one.beside,
            created_ns=one.created_ns,
            aliases=one.aliases,
            sha256=(facts.sha256 if facts else None) or self._elsewhere(one),
        )
        if one.unfinished:
            return replace(record, reason="model_downloading")
        if facts is None:
            return record
        if not facts.rules and not facts.trouble:
            return replace(record, legacy_hash=facts.legacy)
        reason = facts.trouble or mismatch(
            one.kind, facts.kind, refused=facts.refused, is_picture=facts.format is ModelFormat.PICTURE
        )
        return replace(
            record,
            format=facts.format,
            family=facts.family,
            variant=facts.variant,
            metadata=facts.metadata,
            legacy_hash=facts.legacy,
            reason=reason,
        )

    def _absent_record(self, row: Remembered) -> ModelRecord:
        kind, path, name, root = row
        facts = self._facts.get(path)
        record = ModelRecord(kind=ModelKind(kind), name=name, path=Path(path), root=Path(root), reason="model_absent")
        if facts is None:
            return record
        return replace(
            record,
            format=facts.format,
            family=facts.family,
            variant=facts.variant,
            metadata=facts.metadata,
            size=facts.size,
            mtime_ns=facts.mtime_ns,
            sha256=facts.sha256,
            legacy_hash=facts.legacy,
        )

    def _elsewhere(self, one: Listed) -> str | None:
        """What the other A1111 has computed for its own file."""
        if self._known_hashes is None or one.origin != FROM_HOME:
            return None
        return self._known_hashes.find(one.kind, one.name, filename=one.name + one.path.suffix, mtime_ns=one.mtime_ns)

    def _closest(self, snapshot: _Snapshot, name: str) -> list[str]:
        stems = {record.name.casefold(): record.name for record in snapshot.records}
        near = difflib.get_close_matches(name.casefold(), list(stems), n=3, cutoff=0.4)
        return [stems[one] for one in near] or list(stems.values())[:3] or ["-"]

    # Hashes

    def hash(self, record: ModelRecord) -> str:
        """SHA-256 in hex, kept for a file of this size and time; "" with --no-hashing. Raises ModelGone, OSError."""
        known = self._current(record)
        if known is not None and known.sha256:
            return known.sha256
        if record.sha256 and hashing.stamp(record.path, record) == (record.size, record.mtime_ns):
            return record.sha256
        if not self._hashes:
            return ""
        try:
            done = hashing.sha256(record.path) or ""
        except FileNotFoundError as error:
            raise ModelGone(name=record.name, path=str(record.path)) from error
        self._learn_hash(record, sha256=done)
        return done

    def legacy_hash(self, record: ModelRecord) -> str:
        """A1111's first model hash, 8 hex digits, computed when asked for. Raises ModelGone, OSError."""
        known = self._current(record)
        if known is not None and known.legacy is not None:
            return known.legacy
        try:
            done = hashing.legacy(record.path)
        except FileNotFoundError as error:
            raise ModelGone(name=record.name, path=str(record.path)) from error
        self._learn_hash(record, legacy=done)
        return done

    def _by_legacy_hash(self, kind: ModelKind, wanted: str) -> ModelRecord | None:
        for record in self._snapshot(kind).records:
            try:
                if self.legacy_hash(record) == wanted:
                    return record
            except (OSError, ModelGone):
                continue
        return None

    def _current(self, record: ModelRecord) -> Facts | None:
        """What is known of the file, if the file on disk is still the one that was listed."""
        facts = self._facts.get(str(record.path))
        size, mtime_ns = hashing.stamp(record.path, record)
        return facts if facts is not None and facts.of(size, mtime_ns) else None

    def _learn_hash(self, record: ModelRecord, *, sha256: str | None = None, legacy: str | None = None) -> None:
        self._keep_hash(record, sha256=sha256, legacy=legacy)
        with self._changing:
            holding = [kind for kind, ones in self._listed.items() if any(one.path == record.path for one in ones)]
            is_new = self._publish(holding)
        self._tell(is_new)

    def _keep_hash(self, record: ModelRecord, *, sha256: str | None = None, legacy: str | None = None) -> None:
        """Remember a hash; the next snapshot shows it."""
        size, mtime_ns = hashing.stamp(record.path, record)
        path = str(record.path)
        with self._changing:
            old = self._facts.get(path)
            if old is None or not old.of(size, mtime_ns):
                old = Facts(path=path, size=size, mtime_ns=mtime_ns, format=record.format)
            facts = replace(old, sha256=sha256 or old.sha256, legacy=legacy if legacy is not None else old.legacy)
            self._store.keep_hashes(facts)
            self._facts[path] = facts

    def start_hashing(self, idle: Callable[[], bool]) -> None:
        """Begin the background thread: headers not yet read, then SHA-256 of what has none, only while `idle()`.

        Reads are small and stop between two of them when work comes; the file goes on where it was when it is over.
        """
        if self._worker is not None and self._worker.is_alive():
            return
        self._stopped.clear()
        self._worker = threading.Thread(target=self._work, args=(idle,), name="model-index", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """End the background thread; what it has done is kept."""
        self._stopped.set()
        if self._worker is not None:
            self._worker.join(timeout=10)
            self._worker = None

    def close(self) -> None:
        """`stop`, and let the database go."""
        self.stop()
        self._store.close()

    def _work(self, idle: Callable[[], bool]) -> None:
        self.read_headers(may_go_on=lambda: not self._stopped.is_set())
        done_with: set[tuple[Path, int]] = set()
        while self._hashes and not self._stopped.is_set():
            waiting = self._unhashed(done_with)
            if not waiting:
                self._stopped.wait(2)
                continue
            shown = time.monotonic()
            for record in waiting:
                self._hash_when(idle, record, done_with)
                if self._stopped.is_set() or time.monotonic() - shown > BETWEEN_HASHES:
                    break
            # Not after every file: ten thousand hashes would be ten thousand new lists for every page.
            with self._changing:
                is_new = self._publish(list(self._listed))
            self._tell(is_new)

    def _hash_when(self, idle: Callable[[], bool], record: ModelRecord, done_with: set[tuple[Path, int]]) -> None:
        try:
            done = hashing.sha256(record.path, may_go_on=lambda: self._wait_until(idle))
        except OSError as error:
            log.warning("%s cannot be hashed: %s", record.path, error)
            done_with.add((record.path, record.mtime_ns))
            return
        if done:
            self._keep_hash(record, sha256=done)
            done_with.add((record.path, record.mtime_ns))  # should it have changed since, the next scan tells

    def _wait_until(self, idle: Callable[[], bool]) -> bool:
        """Wait while there is work. False when the thread is to end."""
        while not self._stopped.is_set():
            if idle():
                return not self._stopped.wait(hashing.PAUSE)
            self._stopped.wait(0.2)
        return False

    def _unhashed(self, done_with: set[tuple[Path, int]]) -> list[ModelRecord]:
        """What has no hash yet and can be hashed, checkpoints first."""
        return [
            record
            for kind in ModelKind
            for record in self._snapshot(kind).records
            if record.sha256 is None and not record.reason and (record.path, record.mtime_ns) not in done_with
        ]


def _note(record: ModelRecord, key: str) -> str:
    """One value of the user's notes beside a model, "" when there are none or they cannot be read."""
    if record.notes is None:
        return ""
    try:
        table = json.loads(record.notes.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return ""
    value = cast("dict[str, Any]", table).get(key) if isinstance(table, dict) else None
    return value if isinstance(value, str) else ""


def _remember(one: Listed) -> Remembered:
    return (str(one.kind), str(one.path), one.name, str(one.root))


def _is_below(path: Path, places: Iterable[Path]) -> bool:
    return any(path == place or place in path.parents for place in places)
