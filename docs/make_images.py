"""Makes the pictures of the README from one run of the demo's own parts: `python docs/make_images.py`."""

import asyncio
import io
import re
import shutil
import tempfile
from pathlib import Path

from rich.console import Console
from rich.segment import Segment, Segments

from osprey_executor import Approve, PythonExecutionRequest, PythonExecutorService, RunResult
from osprey_executor.interfaces.cli.card import render_card
from osprey_executor.interfaces.cli.commands.demo import CONFIG, TASK
from osprey_executor.models import ApprovalCard

IMAGES = Path(__file__).parent / "images"
WIDTH = 110


async def run_demo(home: Path) -> tuple[ApprovalCard, RunResult]:
    """Run the demo's task on its simulator, approve it, and return the card and the result.

    Raises:
        PythonExecutorException: the run did not succeed.
    """
    cards: list[ApprovalCard] = []

    def decide(card: ApprovalCard) -> Approve:
        cards.append(card)
        assert card.envelope is not None, "the demo declares what it writes"
        return Approve(card.envelope.digest)

    async with PythonExecutorService.from_config(CONFIG, home=home) as service:
        request = PythonExecutionRequest(user_query=TASK, requester="operator")
        result = await service.run(request, decide=decide, approver="operator")
    return cards[-1], result.raise_for_status()


def picture(card: ApprovalCard) -> str:
    """Return the card as the terminal shows it, as SVG; without the font that rich would fetch from elsewhere.

    Of the program only the lines around the first write are in the picture; what is left out is marked.
    """
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    lines = console.render_lines(render_card(card, width=WIDTH), console.options.update(width=WIDTH), pad=False)
    texts = ["".join(segment.text for segment in line) for line in lines]
    code = next(number for number, text in enumerate(texts) if text.strip().startswith("Code,"))
    write = next(number for number, text in enumerate(texts) if "▶" in text and number > code)
    last = max(number for number, text in enumerate(texts) if " │ " in text)
    for shown in (lines[: code + 2], lines[write - 3 : write + 11], lines[last + 2 :]):
        if shown[0] is not lines[0]:
            console.print("   ⋮", style="dim")
        for line in shown:
            console.print(Segments([*line, Segment.line()]), end="", soft_wrap=True)
    return re.sub(r"\s*@font-face \{.*?\}", "", console.export_svg(title="osprey-executor"), flags=re.DOTALL)


def main() -> None:
    """Write the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        card, result = asyncio.run(run_demo(Path(home)))
        # Without the paths of its figures, which lie in the folder of this moment.
        (IMAGES / "card.svg").write_text(picture(card.model_copy(update={"figures": ()})))
        shutil.copyfile(result.figures[-1], IMAGES / "orbit.png")


if __name__ == "__main__":
    main()
