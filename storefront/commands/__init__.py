"""The shop's command line: `./run.sh flask COMMAND`."""

__all__ = ["cli"]
