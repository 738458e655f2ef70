"""The composition root: every part is built here, once, and handed down. The only wiring.

Order of a start: names of models, settings, queue, page, server; then, behind the page, headers of new models, the
engine's
imports and the chosen checkpoint in the worker, and SHA-256 of models while nothing runs.
"""

import asyncio
import contextlib
import logging
import os
import pkgutil
import shutil
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import uvicorn
from fastapi import FastAPI
from starlette.routing import Mount

from webui import __version__, api, gate, ui
from webui.catalog import Catalog, folders_from
from webui.catalog.annotators import annotator_folders
from webui.catalog.cards import Cards
from webui.catalog.need import Room
from webui.catalog.places import a1111_home_from, make_folders
from webui.domain import (
    ConvertRequest,
    DetectRequest,
    ExtrasRequest,
    FetchRequest,
    GenerationRequest,
    ModelKind,
    Series,
)
from webui.domain.errors import MapleError
from webui.gallery.filenames import Sanitizing
from webui.gallery.save import Gallery
from webui.hooks import Hooks
from webui.intake import Intake, StyleBook
from webui.jobs import Change, Jobs, Kind, Threads
from webui.plugins import Plugins
from webui.services import Services
from webui.settings import SettingsStore, declared
from webui.settings.flags import Flags, console_language
from webui.words import explain, say

log = logging.getLogger(__name__)

KINDS = {
    "txt2img": Kind(request=GenerationRequest, target="webui.generate:run"),
    "img2img": Kind(request=GenerationRequest, target="webui.generate:run"),
    "img2img-batch": Kind(request=Series, target="webui.generate:run_series"),
    "convert": Kind(request=ConvertRequest, target="webui.tools:run_convert"),
    "extras": Kind(request=ExtrasRequest, target="webui.tools:run_extras"),
    "detect": Kind(request=DetectRequest, target="webui.tools:run_detect"),
    "fetch-annotator": Kind(request=FetchRequest, target="webui.tools:run_fetch"),
}
FIRST_PORT = 7860
PORTS_TRIED = 100
START_AGAIN = 75
"""Exit code of `serve` for "start me once more"."""
PAGE_PATIENCE = 15.0
"""Seconds the engine's imports wait for a first look at the page; importing beside it would make the page later."""


def data_root(flags: Flags) -> Path:
    """Where run-time files lie: `--data-dir`, else the checkout."""
    return (flags.data_dir or Path(__file__).resolve().parent.parent).resolve()


def build(flags: Flags, hooks: Hooks | None = None) -> Services:
    """All parts of one server, its extensions subscribed to `hooks`. Nothing runs yet; no weight is read, no
    extension's module and no torch is imported.
    """
    root = data_root(flags)
    root.mkdir(parents=True, exist_ok=True)
    hooks = hooks or Hooks()
    settings = SettingsStore(
        flags.ui_settings_file or root / "config.json",
        frozen_sections=frozen_groups(flags),
        frozen_keys=frozen_keys(flags),
    )
    for key, fields in settings.notes:
        log.warning("%s", say(key, console_language(flags, env=os.environ), **fields))
    plugins = Plugins.load(flags, settings.current, root, hooks)
    home = a1111_home_from(flags)
    folders = folders_from(flags, root)
    make_folders(folders)
    catalog = Catalog(
        root / "cache" / "models.db",
        folders,
        vae_path=flags.vae_path,
        a1111_home=flags.a1111_home,
        hashes=not flags.no_hashing,
        annotators=annotator_folders(flags, root),
    )
    cards = Cards(catalog, root / "cache", home=home.root if home else None)
    how = Sanitizing(unix=flags.unix_filenames_sanitization, most=flags.filenames_max_length)
    gallery = Gallery(lambda: settings.current, root, sanitizing=how)
    own_styles = [root / name for name in flags.styles_file or ("styles.csv",)]
    styles = StyleBook([*own_styles, home.styles] if home else own_styles)
    intake = Intake(settings=settings, catalog=catalog, styles=styles, hooks=hooks, blobs=gallery.blobs)
    jobs = Jobs(root / "cache" / "queue.db", KINDS)
    if hooks.used("on_job"):

        def tell(change: Change) -> None:
            hooks.gather("on_job", change=change)

        jobs.subscribe(tell)
    return Services(
        flags=flags, settings=settings, catalog=catalog, cards=cards, gallery=gallery, styles=styles, intake=intake,
        jobs=jobs, hooks=hooks, plugins=plugins,
    )  # fmt: skip


def frozen_groups(flags: Flags) -> frozenset[str]:
    """Setting groups that the launcher froze."""
    if flags.freeze_settings:
        return frozenset({row.group for row in declared().values()})
    named = frozenset(filter(None, flags.freeze_settings_in_sections.split(",")))
    return named | {"paths"} if flags.hide_ui_dir_config else named


def frozen_keys(flags: Flags) -> frozenset[str]:
    """Single settings that the launcher froze."""
    named = frozenset(filter(None, flags.freeze_specific_settings.split(",")))
    patterns = {"saving.samples_filename_pattern", "saving.directories_filename_pattern"}
    return named | patterns if flags.hide_ui_dir_config else named


class Engine:
    """The worker's side: opens the bench when it is first needed, or warms it once the page has been seen."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.workers = Threads(self._open)
        self.seen = threading.Event()
        self._closing = threading.Event()
        self._there = threading.Event()

    def _open(self) -> Any:
        # Named, not imported: torch loads in the worker, after the page.
        began = time.perf_counter()
        bench = pkgutil.resolve_name("webui.generate:open_bench")(
            catalog=self._services.catalog,
            gallery=self._services.gallery,
            hooks=self._services.hooks,
            flags=self._services.flags,
        )
        log.info("engine ready after %.1f s", time.perf_counter() - began)
        self._there.set()
        return bench

    def warm(self) -> None:
        """Import the engine and load the chosen checkpoint, so that the first picture does not wait for it."""
        self.seen.wait(PAGE_PATIENCE)
        if self._closing.wait(1.0):
            return
        try:
            pkgutil.resolve_name("webui.generate:warm")(self.workers.bench, self._services.settings.current)
        except Exception as error:  # the worker's border: the first job will say it to the person who asked
            log.warning("the engine could not be warmed: %s", error)

    def memory(self) -> dict[str, Any] | None:
        """The graphics card's memory, once the engine is loaded; asking does not load it."""
        if "webui.generate" not in sys.modules:
            return None
        return pkgutil.resolve_name("webui.generate:memory")(self.workers.bench)

    def room(self) -> Room:
        """The device before a run; before the engine is loaded, as well as flags and the machine tell."""
        if self._there.is_set():  # asking in the middle of its imports would wait for them
            return pkgutil.resolve_name("webui.generate:room")(self.workers.bench)
        flags = self._services.flags
        card = "all" not in flags.use_cpu and shutil.which("nvidia-smi") is not None
        half = 2 if card and not (flags.no_half or flags.precision == "full") else 4
        itemsize = {"unet": half, "text": half, "vae": 4 if flags.no_half_vae else half}
        if card:
            return Room(device="cuda", itemsize=itemsize)
        return Room(itemsize=itemsize, free=psutil.virtual_memory().available)

    def unload(self) -> None:
        """Give the models' memory back; asking does not load the engine."""
        if "webui.generate" in sys.modules:
            self.workers.bench.close()

    def reload(self) -> None:
        """Load the checkpoint in force."""
        pkgutil.resolve_name("webui.generate:warm")(self.workers.bench, self._services.settings.current)

    def close(self) -> None:
        """Give up warming, if it has not begun."""
        self._closing.set()
        self.seen.set()


class SeesPage:
    """Tells the engine that a page was served: from then on it may import torch."""

    def __init__(self, app: Any, seen: threading.Event) -> None:
        self._app, self._seen = app, seen

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)
        if scope["type"] == "http" and scope["path"] == "/" and not self._seen.is_set():
            asyncio.get_running_loop().call_later(1.5, self._seen.set)


def application(services: Services, engine: Engine, *, port: int, accounts: gate.Accounts) -> Any:
    """The whole ASGI application: API, page, and the gate in front of every route."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[None]:
        behind = threading.Thread(target=behind_the_page, args=(services, engine), name="behind-the-page", daemon=True)
        services.jobs.start(engine.workers)
        behind.start()
        yield
        engine.close()
        await asyncio.to_thread(services.jobs.close)
        services.catalog.stop()

    app = FastAPI(title="Maple WebUI", version=__version__, lifespan=life, docs_url=None, redoc_url=None)
    api.mount(app, services)
    if not services.flags.nowebui:
        ui.mount(app, services, services.flags)
    # A mount at "/" swallows what was added after it; it must come last.
    app.router.routes.sort(key=lambda route: isinstance(route, Mount) and route.path in ("", "/"))
    return gate.build(SeesPage(app, engine.seen), policy=gate.policy_from(services.flags, port), accounts=accounts)


def behind_the_page(services: Services, engine: Engine) -> None:
    """What need not be finished before the page is there."""
    services.catalog.read_headers()
    services.cards.read()
    if not services.flags.skip_load_model_at_start:
        engine.warm()
    if not services.flags.no_hashing:
        services.catalog.start_hashing(lambda: services.jobs.idle)
    services.prune()


def choose_checkpoint(services: Services) -> None:
    """`--ckpt FILE` chooses that checkpoint for good, as in A1111."""
    wanted = services.flags.ckpt
    if wanted is None:
        return
    for record in services.catalog.models(ModelKind.CHECKPOINT):
        if record.path == wanted or record.path.resolve() == wanted.resolve():
            services.settings.change({"model.checkpoint": record.title}, by="owner")
            return
    log.warning("--ckpt %s is not among the checkpoints", wanted)


def free_port(flags: Flags, host: str) -> int:
    """The port asked for, or the first free one from 7860 on. Raises OSError when the one asked for is taken."""
    if flags.port:
        return flags.port
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((host, port))
                return port
    return FIRST_PORT


class Ending:
    """How a server ends: for good, or (`again`) to be started once more."""

    def __init__(self) -> None:
        self.again = False
        self.server: uvicorn.Server | None = None

    def restart(self) -> None:
        """End the server as Ctrl+C does, the running picture goes back into the queue; and start it again."""
        self.again = True
        if self.server is not None:
            self.server.should_exit = True


def serve(flags: Flags) -> int:
    """Serve until interrupted. Exit code; START_AGAIN where somebody asked for a restart."""
    # Nothing here may call home: not Gradio, not the hub. Set before either is imported.
    os.environ.update({"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"})
    # Threads that wait for their turn must sleep: spinning ones on a busy two-core machine made a picture take over a
    # minute instead of four seconds. Read by OpenMP when torch is loaded; the person's own choice wins.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    language = console_language(flags, env=os.environ)
    try:
        accounts = gate.accounts_from(flags)  # before anything is opened: a broken account ends the start
    except MapleError as error:
        print(explain(error, language), file=sys.stderr)
        return 2
    services = build(flags)
    services.catalog.walk()
    choose_checkpoint(services)
    host = flags.server_name or ("0.0.0.0" if flags.listen else "127.0.0.1")
    port = free_port(flags, host)
    engine = Engine(services)
    ending = Ending()
    services = replace(
        services, engine_memory=engine.memory, engine_room=engine.room, engine_unload=engine.unload,
        engine_reload=engine.reload, restart=ending.restart,
    )  # fmt: skip
    app = application(services, engine, port=port, accounts=accounts)
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", timeout_keep_alive=flags.timeout_keep_alive,
        ssl_keyfile=flags.tls_keyfile, ssl_certfile=flags.tls_certfile, root_path=flags.subpath.rstrip("/"),
        timeout_graceful_shutdown=5, server_header=False,
    )  # fmt: skip
    server = ending.server = uvicorn.Server(config)
    announce(server, flags, port, accounts, language)
    server.run()
    return START_AGAIN if ending.again else 0 if server.started else 1


def announce(server: uvicorn.Server, flags: Flags, port: int, accounts: gate.Accounts, language: str) -> None:
    """Print the address once the server answers, open the tunnel and the browser when asked to."""

    def wait() -> None:
        while not server.started:
            if server.should_exit:
                return
            time.sleep(0.02)
        print(gate.announce(flags, port, accounts, language=language), flush=True)
        if flags.share:
            print(shared(port, language), flush=True)
        if flags.autolaunch:
            scheme = "https" if flags.tls_certfile else "http"
            webbrowser.open(f"{scheme}://127.0.0.1:{port}/")

    threading.Thread(target=wait, name="announce", daemon=True).start()


def shared(port: int, language: str) -> str:
    """Open the public tunnel to this server: its address, or why there is none. The gate stands behind it."""
    try:
        return say("door_share", language, address=ui.open_tunnel(port))
    except Exception as error:  # Gradio raises whatever its download, its server or its program ran into
        return say("door_share_failed", language, reason=error)


__all__ = ["START_AGAIN", "application", "build", "serve"]
