"""Everything one can choose: models on disk, and tables of samplers and schedules.

`Catalog` walks the model folders (`walk`), reads the header of every new or changed file (`sniff`: safetensors in
`header`, pickles in `pickles`, folders in `diffusers_folder`) and says what each file is (`identify`). Nothing in a
model file is ever executed. `cards` says what the page shows of each: what lies `beside` it, its picture (`covers`),
what it was `trained` on. May import `domain`, `words` and `settings`; never torch.

Add a kind of model: its endings in `walk.ENDINGS`, its folders in `places.FOLDERS`, its rule in `identify.RULES`.
"""

from webui.catalog.catalog import Catalog, ScanReport, VaeChoice
from webui.catalog.places import Folder, folders_from

__all__ = ["Catalog", "Folder", "ScanReport", "VaeChoice", "folders_from"]
