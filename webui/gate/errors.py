"""What can be wrong with the accounts in the flags."""

from typing import ClassVar

from webui.domain.errors import BadInput


class BadAccount(BadInput):
    """An account that is not `name:password`. Fields: flag, position (from 1). Never the text itself."""

    key: ClassVar[str] = "bad_account"


class NoAccountFile(BadInput):
    """Fields: path, reason."""

    key: ClassVar[str] = "no_account_file"
