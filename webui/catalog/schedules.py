"""The table of schedule types: how sigmas fall from noise to picture. Rows only; the functions are in
`engine/schedules.py`.

Add one: a function there, a row here. `takes` names what the function wants beyond (n, sigma_min, sigma_max).
"""

from dataclasses import dataclass

from webui.domain import Registry

ORIGIN = "webui.catalog.schedules"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """One schedule type. `name` is its label, `key` what A1111's API calls its name."""

    name: str
    key: str
    target: str = ""
    """"" for Automatic alone: the sampler's own schedule, else Uniform."""
    aliases: tuple[str, ...] = ()
    default_rho: float | None = None
    takes: tuple[str, ...] = ()
    """Of "prediction", "rho", "beta_alpha", "beta_beta", "sdxl"."""

    @property
    def need_inner_model(self) -> bool:
        """True when it needs the model's own noise levels."""
        return "prediction" in self.takes


# fmt: off
ROWS = (
    ScheduleRow(name="Automatic", key="automatic"),
    ScheduleRow(name="Uniform", key="uniform", target="webui.engine.schedules:uniform", takes=("prediction",)),
    ScheduleRow(name="Karras", key="karras", target="webui.engine.schedules:karras", default_rho=7.0, takes=("rho",)),
    ScheduleRow(name="Exponential", key="exponential", target="webui.engine.schedules:exponential"),
    ScheduleRow(name="Polyexponential", key="polyexponential", target="webui.engine.schedules:polyexponential",
                default_rho=1.0, takes=("rho",)),
    ScheduleRow(name="SGM Uniform", key="sgm_uniform", target="webui.engine.schedules:sgm_uniform",
                aliases=("SGMUniform",), takes=("prediction",)),
    ScheduleRow(name="KL Optimal", key="kl_optimal", target="webui.engine.schedules:kl_optimal"),
    ScheduleRow(name="Align Your Steps", key="align_your_steps", target="webui.engine.schedules:align_your_steps",
                takes=("sdxl",)),
    ScheduleRow(name="Simple", key="simple", target="webui.engine.schedules:simple", takes=("prediction",)),
    ScheduleRow(name="Normal", key="normal", target="webui.engine.schedules:normal", takes=("prediction",)),
    ScheduleRow(name="DDIM", key="ddim", target="webui.engine.schedules:ddim", takes=("prediction",)),
    ScheduleRow(name="Beta", key="beta", target="webui.engine.schedules:beta",
                takes=("prediction", "beta_alpha", "beta_beta")),
)
# fmt: on


def schedules() -> Registry[ScheduleRow]:
    """A fresh registry of the built-in rows, found by label, key and alias; plugins add theirs to it."""
    registry: Registry[ScheduleRow] = Registry()
    for row in ROWS:
        others = {row.key, *(alias.casefold() for alias in row.aliases)} - {row.name.casefold()}
        registry.add(row.name, row, origin=ORIGIN, aliases=tuple(sorted(others)))
    return registry


SCHEDULES = schedules()
"""The built-in rows; read it, and make your own with `schedules()` to add to."""
