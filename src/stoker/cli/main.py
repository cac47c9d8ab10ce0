"""The command line: verbs, loaded when they are called. Errors become text and exit codes here and nowhere
else."""

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

import click

from stoker import __version__
from stoker.cli.interrupts import interrupt

GROUPS = {
    "decide": {
        "init": "write a commented stoker.yaml",
        "plan": "what would run here, and why",
        "render": "write the manifests for a cluster",
        "lint": "check a stoker.yaml, manifests or a dashboard, without running",
    },
    "run": {
        "up": "serve a model: start the fleet and its endpoint",
        "scale": "run more or fewer replicas",
        "restart": "replace every replica, one after another",
        "rollback": "go back to what was ready before",
        "down": "drain and stop the fleet",
    },
    "look": {
        "status": "what runs, replica by replica",
        "logs": "what the processes say",
        "why": "why it is not ready, and what to do",
        "explain": "what a rule means, by the id that findings carry",
        "chat": "talk to the model",
        "ui": "open the console and the chat, of a cluster too",
    },
    "measure": {
        "bench": "send a workload, and measure what clients see",
        "report": "show a load test, or compare two",
        "simulate": "play a workload against the fleet on a virtual clock, and see what it costs",
        "suggest": "the cheapest setting that keeps the objectives, found by simulation",
    },
    "tools": {"models": "weights that are here: list, pull, show, rm", "doctor": "is this machine ready?"},
}
PLUGINS = "PYDANTIC_DISABLE_PLUGINS"
VERBS = {verb: text for group in GROUPS.values() for verb, text in group.items()}


class Verbs(click.Group):
    """Finds each verb's module when it is called, so that `--help` imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = _loaded(f"stoker.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS:
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " `stoker --help` lists the verbs."
            raise click.UsageError(f"No such verb {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group, verbs in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl(list(verbs.items()))


def _loaded(name: str) -> ModuleType:
    """A verb's module.

    Not looked for meanwhile, as it would be a sixth of the time: garbage, of which loading leaves none, and
    plugins of pydantic's, for which it reads the metadata of every package.
    """
    before = os.environ.get(PLUGINS)
    os.environ[PLUGINS] = "__all__"
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()
        os.environ.pop(PLUGINS) if before is None else os.environ.update({PLUGINS: before})


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="stoker %(version)s")
def cli() -> None:
    """Takes a model's weights to a served vLLM fleet.

    `stoker up` serves the demo model here; `stoker up MODEL` or a stoker.yaml serves yours.
    """
    interrupt()  # the verb is loaded, and about to begin


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 the world failed, 2 your mistake, 3 does not fit, 4
    deadline, 130 interrupted."""
    sys.exit(run(argv))


def run(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code. No traceback reaches the user unless STOKER_DEBUG is
    set."""
    from stoker.errors import StokerError

    try:
        result = cli.main(
            args=None if argv is None else list(argv), prog_name="stoker", standalone_mode=False
        )
        return result if isinstance(result, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except StokerError as error:
        from stoker.ui.findings import plain

        click.echo(plain(error.finding), err=True)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if os.environ.get("STOKER_DEBUG"):
            raise
        return _of_the_system(error)
    except Exception as error:
        if os.environ.get("STOKER_DEBUG"):
            raise
        return _unexpected(error)


def _of_the_system(error: OSError) -> int:
    """A file, disk or socket that does not do as asked: no defect, and named."""
    from stoker.findings import Finding
    from stoker.ui.findings import plain

    names = [str(one) for one in (error.filename, error.filename2) if one is not None]
    what = f"{names[0]} cannot be used" if names else "the system refuses"
    fix = "free space, or grant the right to it; STOKER_HOME puts Stoker's folders elsewhere"
    if isinstance(error, FileExistsError | NotADirectoryError):
        fix = (
            "move away the file that stands where a folder should; STOKER_HOME puts Stoker's folders "
            "elsewhere"
        )
    why = error.strerror or str(error) or type(error).__name__
    click.echo(plain(Finding(what, why, fix, " -> ".join(names), rule="system")), err=True)
    return 1


def _unexpected(error: Exception) -> int:
    from stoker.findings import Finding
    from stoker.ui.findings import plain

    what = f"unexpected: {type(error).__name__}: {error}"
    fix = "STOKER_DEBUG=1 shows where; please report it with that output"
    why = "this is a defect of Stoker, or of something it did not foresee"
    click.echo(plain(Finding(what, why, fix)), err=True)
    return 1
