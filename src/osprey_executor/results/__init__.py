"""What a run leaves: values through a codec that never unpickles, its folder, its notebooks, its replay."""

from osprey_executor.results.banner import Shown
from osprey_executor.results.decoder import decode
from osprey_executor.results.encoder import encode
from osprey_executor.results.expected import check_expected
from osprey_executor.results.folder import RunFolder
from osprey_executor.results.jsonable import to_json
from osprey_executor.results.manifest import FileEntry, Manifest
from osprey_executor.results.notebook import write_notebook
from osprey_executor.results.reads import load_reads, save_reads
from osprey_executor.results.rehearsals import rehearsal_folder, sweep_rehearsals
from osprey_executor.results.rehearsed import marked_rehearsal
from osprey_executor.results.session import ReplaySession
from osprey_executor.results.summary import result_to_json
from osprey_executor.results.watermark import watermarked

__all__ = [
    "FileEntry",
    "Manifest",
    "ReplaySession",
    "RunFolder",
    "Shown",
    "check_expected",
    "decode",
    "encode",
    "load_reads",
    "marked_rehearsal",
    "rehearsal_folder",
    "result_to_json",
    "save_reads",
    "sweep_rehearsals",
    "to_json",
    "watermarked",
    "write_notebook",
]
