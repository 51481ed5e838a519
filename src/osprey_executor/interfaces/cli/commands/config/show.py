"""`config show`: what the configuration came to."""

from __future__ import annotations

from osprey_executor.interfaces.cli.commands.options import ConfigFile, Json


def show(config: ConfigFile = None, as_json: Json = False) -> int:
    """Print the configuration as it is used, defaults filled in and secrets masked."""
    import yaml
    from rich.text import Text

    from osprey_executor.errors import ConfigurationError
    from osprey_executor.interfaces.cli.commands.config.available import examined
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.text import one_line, visible

    report = examined(config)
    if not report.sections:
        raise ConfigurationError("; ".join(report.problems))
    if as_json:
        write_json(report.sections)
        return 0
    screen = Screen.open()
    screen.tell(f"from {one_line(str(report.source), 500)}" if report.source else "no file: these are the defaults")
    for warning in report.warnings:
        screen.tell(Text(f"warning: {visible(warning)}", style="yellow"))
    screen.show(
        Text(visible(yaml.safe_dump(report.sections, sort_keys=False, allow_unicode=True)).rstrip()), wrap=False
    )
    return 0
