"""Files of a preprocessor to be fetched from where the table says they are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """What a preprocessor lacks is fetched into the first folder of preprocessors' files; nothing else can be asked."""

    module: str
    """The preprocessor (`catalog.detectors`), by its name or an older one."""
