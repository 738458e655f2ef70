"""The story of a run: plan, lease, batches, files."""

from collections.abc import Mapping
from typing import Any

from webui.domain import GenerationRequest, Picture, Reporter, Result, ShuttingDown, Wish
from webui.domain.job import NOBODY, OWNER, STYLE_PROMPTS
from webui.generate.batch import make_batch
from webui.generate.bench import Bench
from webui.generate.finish import Finish
from webui.generate.plan import batches, make_plan, steps_of
from webui.generate.progress import Meter
from webui.generate.running import Run
from webui.settings import from_flat, overlay


def run(request: GenerationRequest, *, settings: Mapping[str, Any], reporter: Reporter, bench: Bench) -> Result:
    """Make the pictures a request asks for. `settings` is the flat snapshot of the job.

    Pictures that an earlier attempt finished are kept, not made again: seeds are fixed, so the rest comes out the same.
    Raises what planning, loading, sampling and saving raise; every picture saved before that has been reported.
    """
    in_force = overlay(from_flat(settings), request.overrides)
    plan = make_plan(request, in_force, bench.catalog)
    groups = batches(plan)
    meter = Meter(reporter, steps=sum(steps_of(each)[1] for each in plan.passes), batches=len(groups))
    doing = Run(
        plan=plan, settings=in_force, bench=bench, reporter=reporter, meter=meter, user=signed_in(settings),
        style_prompts=tuple(settings.get(STYLE_PROMPTS, ())),
    )  # fmt: skip
    for key, fields in plan.notes:
        reporter.note(key, **fields)
    finish = Finish(doing, earlier=reporter.finished())
    bench.models.keep_vaes = in_force.model.vae_checkpoint_cache
    bench.models.keep, bench.models.park = in_force.model.checkpoints_limit, in_force.model.checkpoints_keep_in_cpu
    bench.controls.keep = in_force.control.model_cache_size
    with bench.models.lease(), bench.hooks.around("wrap_run", plan=plan):
        stopped = make_batches(doing, groups, finish)
        return finish.result(stopped=stopped)


def signed_in(settings: Mapping[str, Any]) -> str:
    """The account a job belongs to; a server without accounts has one nameless person."""
    owner = str(settings.get(OWNER, ""))
    return "" if owner == NOBODY else owner


def make_batches(doing: Run, groups: list[tuple[Picture, ...]], finish: Finish) -> bool:
    """Every batch in turn; True when the person ended it early."""
    for number, pictures in enumerate(groups):
        match doing.reporter.wish():
            case Wish.SHUTDOWN:
                raise ShuttingDown
            case Wish.STOP | Wish.FINISH:
                return True
            case _:
                pass
        doing.meter.batch(number)
        if finish.has(pictures):
            continue
        batch = make_batch(doing, pictures)
        if batch is None:
            continue
        with doing.meter.phase("saving"):
            finish.add(batch, number=number)
        if batch.stopped:
            return True
    return False
