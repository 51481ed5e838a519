"""`doctor`: proves each safety layer by trying the forbidden thing inside."""

from __future__ import annotations

from osprey_executor.interfaces.cli.commands.options import ConfigFile, Json


def doctor(config: ConfigFile = None, as_json: Json = False) -> int:
    """Try what the sandbox must refuse, and show the refusals.

    Exit 6 if a layer is off.
    """
    from rich.text import Text

    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.lists import probes_table
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.text import one_line, visible

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        work.display.begin("trying what must be refused")
        probes = await work.service.doctor()
        work.display.pause()
        failed = [probe for probe in probes if probe.outcome == "failed"]
        if as_json:
            write_json([probe.model_dump(mode="json") for probe in probes])
        else:
            screen.show(probes_table(probes))
            for probe in failed:
                if "\n" in probe.detail:  # remedies hold commands to copy, which a table would break
                    screen.tell(Text(f"\n{one_line(probe.name)}: {visible(probe.detail)}\n"))
            if failed:
                screen.tell(f"{len(failed)} of {len(probes)} checks failed.", style="bold red")
            else:
                screen.tell("Every layer that is in force was seen to refuse.", style="green")
        return Exit.UNAVAILABLE if failed else Exit.SUCCEEDED

    return with_service(body, screen, config)
