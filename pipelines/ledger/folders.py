"""The storyboards' folders in the ledger: for each, the file of the storyboard that it belongs to."""

from pathlib import Path

from sqlalchemy import Connection, select, update

from pipelines.ledger.database import LedgerPart
from pipelines.ledger.schema import Upsert, folders

_ENTER = Upsert.of(folders, lambda insert: insert.on_conflict_do_nothing(index_elements=["folder"]))


class FolderRegistry(LedgerPart):
    """Records which storyboard file each folder of takes and films belongs to. All paths are absolute."""

    def folder_owner(self, folder: Path) -> Path | None:
        """Return the file that a folder belongs to; None where none has been entered."""
        with self.database.reading() as connection:
            return _owner(connection, folder)

    def enter_folder_owner(self, folder: Path, file: Path, *, instead_of: Path | None) -> bool:
        """Enter the file that a folder belongs to, unless another one has been entered meanwhile.

        Args:
            folder: the storyboard's.
            file: the storyboard's.
            instead_of: what `folder_owner` returned.

        Returns:
            Whether it is the one that is entered now. Of several at the same moment, one is.
        """
        with self.database.transaction() as connection:
            if instead_of is None:
                connection.execute(_ENTER.for_use_on(connection), {"folder": folder, "file": file})
            else:
                unchanged = (folders.c.folder == folder) & (folders.c.file == instead_of)
                connection.execute(update(folders).where(unchanged).values(file=file))
            return _owner(connection, folder) == file


def _owner(connection: Connection, folder: Path) -> Path | None:
    file: Path | None = connection.scalar(select(folders.c.file).where(folders.c.folder == folder))
    return file
