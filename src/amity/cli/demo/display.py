"""What a person sees of the demo in the terminal: a bar while the first round runs, then links and news."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from amity.cli.demo.summary import Summary


class Display:
    """Writes to standard error while things happen, so that `--json` leaves standard output to the document."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=quiet,
        )
        self._task: TaskID | None = None

    def said(self, text: str) -> None:
        """One line."""
        self._console.print(text, markup=False)

    def beginning(self, what: str, total: int) -> None:
        """Show a bar."""
        self._progress.start()
        self._task = self._progress.add_task(what, total=total, note="")

    def advanced(self, done: int, note: str) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, note=note)

    def ended(self) -> None:
        """Take the bar away; does nothing when there is none."""
        if self._task is not None:
            self._progress.stop()
            self._task = None

    def links(self, town: str, meters: int, links: Sequence[str], until: datetime, folder: str) -> None:
        """The way in."""
        self._console.print(f"\n[bold]{town}[/] is running: {meters} simulated meters, the rest is real.")
        for link in links:
            self._console.print(f"  open once  [bold cyan]{link}[/]")
        self._console.print(
            f"  Each link works once, until {until:%H:%M} UTC; [bold]Enter[/] prints a new one, [bold]Ctrl-C[/] ends."
            f"\n  Everything is in {folder}: delete it to forget.\n"
        )

    def summary(self, summary: Summary) -> None:
        """The end of a single round."""
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(summary.outcomes.items()))
        verdict = "[green]every healthy meter is complete[/]" if summary.good else "[red]not complete[/]"
        self._console.print(
            f"[bold]{summary.town}[/]: {summary.answered} of {summary.meters} meters answered ({outcomes})"
        )
        self._console.print(
            f"{summary.healthy_complete} of {summary.healthy} healthy meters complete: {verdict}; "
            f"{summary.intervals} quarter hours from {summary.span_from} to {summary.span_to}, "
            f"{summary.exceptions} VEE findings, {summary.seconds} s"
        )
        for meter_id in summary.incomplete:
            self._console.print(f"  incomplete: {meter_id}", markup=False)
