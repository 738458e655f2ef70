"""Pictures out and in: infotext, metadata, file names, saving. May import Pillow, `settings`, `domain`; no torch.

`infotext.py` writes and reads the line of parameters, `metadata.py` puts it into files and takes it out again,
`filenames.py` fills A1111's patterns and hands out numbers, `save.py` is `Gallery`: it writes pictures whole or not at
all. `foreign/` translates other programs' metadata. Add a token for file names: one row in `filenames.PLAIN`. Add a
program's metadata: one reader in `foreign.READERS`.
"""
