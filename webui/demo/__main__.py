"""`python -m webui.demo STEP`: draw, vae, encode, text, unet, decoder, export, controls, judge; `all` runs them in this
order. `controls` teaches the exported checkpoint on, together with its two ControlNets, and writes all three.
`adapters` trains a LoRA, an embedding and a hypernetwork for the finished checkpoint and makes its VAE in sepia;
`effects` measures what prompt language, passes and adapters do to its pictures, `control-effects` what the ControlNets
do; `figures` trains the pose detector that knows the demo's figures.

Everything lies in one folder (--folder) and every step goes on where it stopped.
"""

import argparse
import dataclasses
from pathlib import Path

import torch

from webui.demo import (
    adapters,
    checkpoint,
    control_effects,
    controls,
    effects,
    figures,
    judge,
    pictures,
    text,
    unet,
    vae,
)  # fmt: skip
from webui.demo.course import together
from webui.demo.drawings import draw
from webui.demo.sample import sample, save_grid

LESSONS = {
    lesson.name: lesson
    for lesson in (
        unet.Lesson(name="unet-64", size=64, pictures=12000, steps=1600, batch=16, rate=1.2e-3),
        unet.Lesson(name="unet-128", size=128, pictures=12000, steps=4000, batch=16, rate=9e-4, after="unet-64"),
    )
}
PICTURES = 12000
CHECKPOINT = Path("models/Stable-diffusion/maple-demo.safetensors")


def main() -> None:
    """Read the command line and run the step it names."""
    reader = argparse.ArgumentParser(prog="python -m webui.demo", description=__doc__)
    reader.add_argument("step", choices=[*_STEPS, "all", *_BESIDE])
    reader.add_argument("--folder", type=Path, default=Path("cache/demo"), help="where pictures and states lie")
    reader.add_argument("--processes", type=int, default=2, help="training processes on a CPU, one thread each")
    reader.add_argument("--vae-steps", type=int, default=3000)
    reader.add_argument("--decoder-steps", type=int, default=600)
    reader.add_argument("--text-steps", type=int, default=600)
    reader.add_argument("--control-steps", type=int, default=controls.Lesson().steps)
    reader.add_argument("--control-decoder-steps", type=int, default=600)
    reader.add_argument("--lesson", choices=list(LESSONS), help="one stage of the UNet's training (default: all)")
    reader.add_argument("--unet-steps", type=int, help="another number of steps for --lesson")
    reader.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    reader.add_argument("--prompts", type=int, default=200, help="held-back prompts to judge")
    reader.add_argument("--grid", type=Path, help="also save the first 40 judged pictures side by side")
    reader.add_argument("--seeds", type=int, default=50, help="pictures of each effect")
    reader.add_argument("--figure-steps", type=int, default=figures.Lesson().steps)
    some = [*effects.EFFECTS, *control_effects.MEASURES]
    reader.add_argument("--only", choices=some, action="append", help="one of them (repeatable)")
    asked = reader.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    if asked.step in _BESIDE:
        return _BESIDE[asked.step](asked)
    for name in _STEPS if asked.step == "all" else (asked.step,):
        _STEPS[name](asked)


def _draw(asked: argparse.Namespace) -> None:
    pictures.drawn(asked.folder, PICTURES, size=128)
    preview = [draw(spec, 128) for spec in pictures.specs(96)]
    save_grid(asked.folder / "drawings.png", preview, columns=12)


def _vae(asked: argparse.Namespace) -> None:
    pictures.drawn(asked.folder, PICTURES, size=128)
    together(vae.train_vae, asked.folder, PICTURES, asked.vae_steps, processes=asked.processes)
    print(f"VAE: {vae.fidelity(asked.folder):.1f} dB")


def _decoder(asked: argparse.Namespace) -> None:
    together(vae.train_decoder, asked.folder, PICTURES, asked.decoder_steps, processes=asked.processes)
    print(f"VAE: {vae.fidelity(asked.folder):.1f} dB")


def _text(asked: argparse.Namespace) -> None:
    text.vocabulary(asked.folder)
    together(text.train_text, asked.folder, asked.text_steps, processes=1)


def _unet(asked: argparse.Namespace) -> None:
    for lesson in LESSONS.values():
        if asked.lesson in (None, lesson.name):
            steps = asked.unet_steps if asked.lesson and asked.unet_steps else lesson.steps
            _teach(asked, dataclasses.replace(lesson, steps=steps))


def _teach(asked: argparse.Namespace, lesson: unet.Lesson) -> None:
    # Encoded once here, before several processes would each do it.
    _latents(asked, lesson)
    together(unet.train_unet, asked.folder, lesson, processes=asked.processes)


def _latents(asked: argparse.Namespace, lesson: unet.Lesson) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pictures.latents(
        asked.folder, lesson.pictures, size=lesson.size, load_vae=lambda: vae.load(asked.folder), device=device
    )


def _encode(asked: argparse.Namespace) -> None:
    for lesson in LESSONS.values():
        if asked.lesson in (None, lesson.name):
            _latents(asked, lesson)


def _export(asked: argparse.Namespace) -> None:
    lesson = LESSONS[asked.lesson or list(LESSONS)[-1]]
    model, encoder, step = unet.load(asked.folder, lesson.name)
    trained = f"Trained from scratch on {lesson.pictures} drawn pictures; {lesson.name}, {step} steps."
    file = checkpoint.export(
        asked.checkpoint,
        unet=model,
        vae=vae.load(asked.folder),
        encoder=text.spread(encoder, text.vocabulary(asked.folder)),
        size=lesson.size,
        trained=trained,
    )
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB, {trained}")


def _controls(asked: argparse.Namespace) -> None:
    lesson = controls.Lesson(steps=asked.control_steps)
    base = controls.kept_base(asked.folder, asked.checkpoint)
    together(controls.encode, asked.folder, base, lesson, processes=asked.processes)
    together(controls.train_controls, asked.folder, base, lesson, processes=asked.processes)
    steps = asked.control_decoder_steps
    together(controls.sharpen, asked.folder, base, lesson, steps, processes=asked.processes)
    for file in controls.export(asked.folder, base, asked.checkpoint, Path()):
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


def _judge(asked: argparse.Namespace) -> None:
    parts, size = checkpoint.opened(asked.checkpoint, text.clip_rows())
    things = judge.held_back(asked.prompts)
    drawn = []
    for start in range(0, len(things), 20):
        some = things[start : start + 20]
        seeds = range(start, start + len(some))
        drawn += sample(parts, [thing.prompt for thing in some], seeds=seeds, size=size)
    print(judge.table(drawn, things))
    if asked.grid:
        save_grid(asked.grid, drawn[:40], columns=10)


def _adapters(asked: argparse.Namespace) -> None:
    for name in adapters.ADAPTERS:
        if asked.only is None or name in asked.only:
            file = adapters.make(name, asked.checkpoint, asked.folder, Path())
            print(f"{file}: {file.stat().st_size / 1e6:.2f} MB")


def _effects(asked: argparse.Namespace) -> None:
    with effects.studio(asked.checkpoint) as studio:
        found = [
            effects.EFFECTS[name](studio, asked.seeds)
            for name in effects.EFFECTS
            if name in (asked.only or effects.EFFECTS)
        ]
    print(effects.table(found))


def _figures(asked: argparse.Namespace) -> None:
    file = figures.make(asked.folder, figures.Lesson(steps=asked.figure_steps))
    found = figures.right(figures.opened(file), figures.held_back(100))
    print(f"{file}: {file.stat().st_size / 1e6:.2f} MB, {found:.1%} of the joints of 100 held-back poses")


def _control_effects(asked: argparse.Namespace) -> None:
    with effects.studio(asked.checkpoint) as studio:
        found = [
            one
            for name, measure in control_effects.MEASURES.items()
            if name in (asked.only or control_effects.MEASURES)
            for one in measure(studio, asked.seeds)
        ]
    print(control_effects.table(found))


_STEPS = {
    "draw": _draw,
    "vae": _vae,
    "encode": _encode,
    "text": _text,
    "unet": _unet,
    "decoder": _decoder,
    "export": _export,
    "controls": _controls,
    "judge": _judge,
}

_BESIDE = {
    "adapters": _adapters,
    "effects": _effects,
    "figures": _figures,
    "control-effects": _control_effects,
}

if __name__ == "__main__":
    main()
