"""Extensions: find them, order them, let them take part; one that fails is named and left out.

    manifest.py   `extension.toml`: what an extension says of itself
    found.py      which folders there are, which of them are switched on, in what order
    deferred.py   a hook of an extension whose module is imported when it is first called
    plugins.py    `Plugins`: all of the above for one server
    skeleton.py   `python -m webui.plugins new NAME`

An extension is a folder in `extensions/` with an `extension.toml`. Extensions that are part of the project have names
that begin with `maple-`. May import every lower room; torch comes in with an extension's own modules, in the worker,
and never because of this room. Add a key to the manifest: a field in `manifest.py`, a row in `docs/extensions.md`.
"""

from webui.plugins.found import Extension, State
from webui.plugins.manifest import BadManifest, Manifest
from webui.plugins.plugins import Plugins

__all__ = ["BadManifest", "Extension", "Manifest", "Plugins", "State"]
