"""config.json: read, repaired, changed, written.

The file is A1111's: settings stand under A1111's keys, ours that A1111 lacks under `group.name`, and keys we do not
know stay exactly as they were found. So a config.json may be carried over from A1111, and back.
"""

import contextlib
import errno
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

from webui.domain.errors import BadInput, DiskFull, LockedSetting
from webui.settings.declared import a1111_keys, a1111_to_key, applied, checked, declared, flat, locked
from webui.settings.errors import FrozenSetting, SettingsNotSaved
from webui.settings.groups import Settings

By = Literal["owner", "api"]
Listener = Callable[[Settings, Settings], None]
Note = tuple[str, dict[str, Any]]

A1111_SECTIONS = {
    "saving-images": "saving",
    "saving-to-dirs": "saving",
    "saving-paths": "paths",
    "sd": "model",
    "vae": "model",
    "optimizations": "sampling",
    "compatibility": "sampling",
    "sampler-params": "sampling",
    "ui": "page",
    "ui_prompt_editing": "page",
    "ui_gallery": "page",
    "ui_alternatives": "page",
}
"""A1111's section ids, as --freeze-settings-in-sections spells them → the group that holds most of theirs."""


class SettingsStore:
    """The settings in force and their file. All methods may be called from any thread.

    `frozen_sections` names groups or A1111's sections (or "*"), `frozen_keys` keys, dotted or A1111's: nobody changes
    those.
    """

    def __init__(self, path: Path, *, frozen_sections: Collection[str] = (), frozen_keys: Collection[str] = ()) -> None:
        self.path = path
        self._frozen_sections = frozenset(A1111_SECTIONS.get(name, name) for name in map(str.strip, frozen_sections))
        self._frozen_keys = frozenset(a1111_to_key(name) or name for name in map(str.strip, frozen_keys))
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []
        self._notes: list[Note] = []
        self._raw: dict[str, Any] = {}
        """The file's own entries, in its order; unreadable values stay here until their setting is changed."""
        self._current = Settings()
        self._load()

    @property
    def current(self) -> Settings:
        return self._current

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was wrong with the file when it was read: keys into words, with fields."""
        return tuple(self._notes)

    @property
    def extras(self) -> Mapping[str, Any]:
        """Entries of the file that are none of ours: A1111 keys nothing reads yet, and extensions' own."""
        with self._lock:
            return MappingProxyType({name: value for name, value in self._raw.items() if a1111_to_key(name) is None})

    def change(self, values: Mapping[str, Any], *, by: By) -> Settings:
        """Change settings by dotted or A1111 key, save, then tell the listeners. All or nothing.

        Sending a value that is already in force is never refused (clients post back all they got).
        Raises LockedSetting (by the API), FrozenSetting, WrongType, OutOfRange, NotAChoice, DiskFull, SettingsNotSaved.
        """
        with self._lock:
            before = self._current
            old = flat(before)
            ours: dict[str, Any] = {}
            others: dict[str, Any] = {}
            for name, value in values.items():
                key = a1111_to_key(name)
                if key is None:
                    if name not in self._raw or self._raw[name] != value:
                        self._permit(name, value, by=by)
                        others[name] = value
                    continue
                made = checked(declared()[key], value)
                if made != old[key]:
                    self._permit(key, made, by=by)
                    ours[key] = made
            if not ours and not others:
                return before
            after = applied(before, ours)
            raw = self._raw | {declared()[key].stored: _stored(value) for key, value in ours.items()} | others
            _write(self.path, raw)
            self._raw, self._current = raw, after
            listeners = list(self._listeners)
        for listener in listeners:
            listener(before, after)
        return after

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(before, after)` after every change, in the changer's thread; the answer ends it."""
        with self._lock:
            self._listeners.append(listener)

        def leave() -> None:
            with self._lock, contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return leave

    def frozen(self, name: str) -> bool:
        """True when the launcher froze that key."""
        key = a1111_to_key(name) or name
        group = key.partition(".")[0]
        return "*" in self._frozen_sections or group in self._frozen_sections or key in self._frozen_keys

    def _permit(self, name: str, value: object, *, by: By) -> None:
        if self.frozen(name):
            raise FrozenSetting(name=name)
        if by == "api" and locked(name, value):
            row = declared().get(name)
            raise LockedSetting(name=row.stored if row else name)

    def _load(self) -> None:
        raw = self._read()
        for note in _migrated(raw):
            self._notes.append(note)
        good: dict[str, Any] = {}
        for key, row in declared().items():
            if row.stored not in raw:
                continue
            try:
                good[key] = checked(row, raw[row.stored])
            except BadInput as error:
                self._notes.append(
                    (
                        "setting_replaced",
                        {
                            "name": row.stored,
                            "value": repr(raw[row.stored])[:80],
                            "default": row.default,
                            "path": str(self.path),
                        },
                    )
                )
                del error
        self._raw = raw
        self._current = applied(Settings(), good)

    def _read(self) -> dict[str, Any]:
        """The file as a dict. A file that is not JSON is set aside; its `.bak` is used when that one is whole."""
        try:
            found = json.loads(self.path.read_bytes().decode("utf-8-sig"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._notes.append(("settings_unreadable", {"path": str(self.path), "reason": str(error)}))
            return {}
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return cast("dict[str, Any]", found)
        return self._set_aside()

    def _set_aside(self) -> dict[str, Any]:
        aside = _free_name(self.path.with_name(f"{self.path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}"))
        try:
            self.path.replace(aside)
        except OSError as error:
            self._notes.append(("settings_unreadable", {"path": str(self.path), "reason": str(error)}))
            return {}
        backup = _backup(self.path)
        try:
            found = json.loads(backup.read_bytes().decode("utf-8-sig"))
        except (OSError, ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            self._notes.append(
                ("settings_broken_backup", {"path": str(self.path), "aside": str(aside), "backup": str(backup)})
            )
            return cast("dict[str, Any]", found)
        self._notes.append(("settings_broken", {"path": str(self.path), "aside": str(aside)}))
        return {}


def to_a1111(store: SettingsStore) -> dict[str, Any]:
    """Everything as /sdapi/v1/options gives it: declared settings under their stored keys, then the extras."""
    values = flat(store.current)
    shown = {row.stored: _stored(values[key]) for key, row in declared().items()}
    # A1111 says null, not "", while no checkpoint was ever chosen.
    shown["sd_model_checkpoint"] = shown["sd_model_checkpoint"] or None
    return shown | dict(store.extras)


def _stored(value: Any) -> Any:
    return list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value


def _migrated(raw: dict[str, Any]) -> list[Note]:
    """Older spellings of A1111 (and Forge) brought up to date in place; the old keys stay for an older program."""
    notes: list[Note] = []

    def put(new: str, value: Any, old: str) -> None:
        raw[new] = value
        notes.append(("setting_migrated", {"old": old, "name": new}))

    if "quicksettings_list" not in raw:
        for old in ("quick_setting_list", "quicksettings"):
            if isinstance(raw.get(old), str | list):
                put("quicksettings_list", raw[old], old)
                break
    if raw.get("sd_vae") in ("auto", ""):
        put("sd_vae", "Automatic", "sd_vae")
    if isinstance(raw.get("sd_vae_as_default"), bool) and "sd_vae_overrides_per_model_preferences" not in raw:
        put("sd_vae_overrides_per_model_preferences", not raw["sd_vae_as_default"], "sd_vae_as_default")
    if raw.get("enable_emphasis") is False and "emphasis" not in raw:
        put("emphasis", "None", "enable_emphasis")
    return notes


def _backup(path: Path) -> Path:
    return path.with_name(path.name + ".bak")


def _free_name(path: Path) -> Path:
    """`path`, or `path-2`, `path-3` … when it is taken."""
    tried, number = path, 1
    while tried.exists():
        number += 1
        tried = path.with_name(f"{path.name}-{number}")
    return tried


def _write(path: Path, raw: Mapping[str, Any]) -> None:
    """Write whole or not at all: a temporary file beside it, fsync, the old one kept as `.bak`, then rename."""
    target = path.resolve()
    try:
        data = json.dumps(raw, indent=4, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise SettingsNotSaved(path=str(path), reason=str(error)) from error
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
            shutil.copy2(target, _backup(target))
        Path(temporary).replace(target)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFull(path=str(path), needed=len(data), free=_free(target.parent)) from error
        raise SettingsNotSaved(path=str(path), reason=str(error)) from error


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


__all__ = ["By", "Listener", "Note", "SettingsStore", "a1111_keys", "to_a1111"]
