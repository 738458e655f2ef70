"""Known pictures, made again: requests and answers of A1111 1.10.1 are run through our own path and compared.

`checkpoint.py` builds the seeded checkpoint they were made with, `cases.py` reads a folder of cases, `check.py` runs
them and says where a difference begins (noise, conditioning, sampling, decoding). `python -m webui.parity [FOLDER]`
prints a table; the cases of `tests/parity/cases` are the ones shipped. Starred, may import `generate` and everything
below it.

Add a case: an entry in a folder's `cases.json` (an A1111 request, its `override_settings`, the pictures), the
pictures beside it, and under `latents/` what is known of NAME: `.noise.npy`, `.samples.npy`, `.cond.npz`.
"""

from webui.parity.cases import SHIPPED, Case, read_cases
from webui.parity.check import Outcome, check, ready
from webui.parity.checkpoint import DIGEST, ensure_checkpoint

__all__ = ["DIGEST", "SHIPPED", "Case", "Outcome", "check", "ensure_checkpoint", "read_cases", "ready"]
