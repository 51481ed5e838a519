"""One file a command. Each imports what it needs when it is used, so that `--help` stays quick."""
