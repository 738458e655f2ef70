"""When a unit guides."""

from webui.engine.types import StepContext


def progress(context: StepContext) -> float:
    """The fraction of the steps a unit's start and end are compared with.

    A1111 counts a step when its first evaluation is done, so that evaluation still sees the number of the step before,
    and a second one its own.
    """
    second = context.call % max(1, context.calls // context.steps)
    return (context.step if second else max(0, context.step - 1)) / context.steps
