"""What the scripts share: messages, exit codes, quiet logs and the loop over files."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import flags

from tfhific.commands import failures, paths, streams
from tfhific.commands.table import in_this_way
from tfhific.commands.wording import as_flags

FLAGS = flags.FLAGS


def quiet_tensorflow() -> None:
    """Keeps TensorFlow's start-up notices off the terminal, unless the user asked for them."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _name_a_temporary_folder() -> None:
    """Importing TensorFlow asks for one and fails without, though it writes nothing there then."""
    import tempfile

    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = os.path.join(os.sep, "tmp")


def start_tensorflow(configure: Callable[[], None] = lambda: None) -> None:
    """Imports TensorFlow and starts its runtime without its notices.

    From 2.16 on it prints some before it reads the variable that `quiet_tensorflow` sets, and a
    script's standard error is for what the user has to know.

    Args:
      configure: called when TensorFlow is there and has not started yet.
    """
    _name_a_temporary_folder()
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3" or "tensorflow" in sys.modules:
        configure()
        return
    with streams.without_stderr():
        import tensorflow as tf

        configure()
        tf.constant(0)


def say(message: str) -> None:
    """Prints a line on standard error, in the words of this command."""
    print(_worded(message), file=sys.stderr, flush=True)


def _worded(message: str) -> str:
    """A message with options as this command's flags, and commands as this one was called."""
    return in_this_way(as_flags(message), sys.argv[0])


@contextlib.contextmanager
def _plain_picture_warnings() -> Iterator[None]:
    """Shows what is wrong with a picture's file as one line, without the code that found it."""
    from tfhific.errors import PictureWarning

    before = warnings.formatwarning

    def plain(message, category, *where, **more):
        if category is PictureWarning:
            return f"warning: {message}\n"
        return before(message, category, *where, **more)

    warnings.formatwarning = plain
    try:
        yield
    finally:
        warnings.formatwarning = before


def guarded(work: Callable[[], int], argv: list[str], positional: int | None = None) -> int:
    """Runs `work`; what the user or the system got wrong is one line and exit code 1.

    Args:
      work: does the script's job and returns its exit code.
      argv: the program's name and its positional arguments.
      positional: how many positional arguments there may be; None for any number.
    """
    quiet_tensorflow()
    if positional is not None and len(argv) - 1 > positional:
        say(f"error: unexpected argument {argv[positional + 1]!r}. See --help.")
        return 1
    try:
        with _plain_picture_warnings():
            return work()
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except Exception as error:
        line = failures.line_for(error)
        if line is None:
            raise
        say(f"error: {line}")
        return 1


def define_output_flags() -> None:
    """Flags of the commands that `plan_files` plans for."""
    paths.define_path(
        "out",
        None,
        "Output of any number of inputs: a folder, made if it is new, or for one input a name with "
        "an ending; default: beside each input.",
        short_name="o",
    )
    flags.DEFINE_bool("overwrite", False, "Replace outputs that are there already.")
    flags.DEFINE_bool("recursive", False, "Also the folders below a folder.")
    flags.DEFINE_bool("force_name", False, "Write even to a name with another kind's ending.")


def define_file_flags() -> None:
    """Flags of the commands that turn pictures into files or back by a codec of this process."""
    define_output_flags()
    flags.DEFINE_bool("json", False, "Print one JSON object per file.")
    define_codec_flags()


def define_codec_flags() -> None:
    """Flags of how a codec runs, for `codec_options`."""
    flags.DEFINE_integer("max_pixels", 178_956_970, "Larger pictures are refused.", lower_bound=1)
    flags.DEFINE_integer(
        "tile", None, "Side of the tiles that networks run on, pixels; default: by the picture."
    )
    flags.DEFINE_enum(
        "precision",
        "float32",
        ["float32", "bfloat16"],
        "Arithmetic of the picture networks; files of either are read by both.",
    )
    flags.DEFINE_enum(
        "runtime",
        "auto",
        ["auto", "tensorflow", "litert"],
        "What runs the networks; auto: litert, which starts in a fraction of the time, for a few "
        "pictures, tensorflow for many. Files of either are read by both.",
    )


def codec_options() -> dict:
    """What the flags say about how a codec runs.

    Raises:
      TfhificError: for tiles that are too small.
    """
    from tfhific.errors import TfhificError

    if FLAGS.tile is not None and FLAGS.tile < 64:
        raise TfhificError(f"--tile: expected at least 64 pixels. Received: {FLAGS.tile}.")
    return {
        "tile": FLAGS.tile,
        "max_pixels": FLAGS.max_pixels,
        "precision": FLAGS.precision,
        "runtime": FLAGS.runtime,
    }


def refuse_existing(destination: str, overwrite: bool) -> None:
    """Fails before the work is done, rather than after it, when an output is there already."""
    from tfhific.errors import OutputError
    from tfhific.files.atomic import refuse_terminal

    if destination == "-":
        refuse_terminal()
    if destination != "-" and os.path.exists(destination) and not overwrite:
        raise OutputError(f"{destination}: is there already; --overwrite replaces it.")


def plan_files(
    argv: list[str],
    *,
    extensions: Sequence[str],
    suffix: str,
    check_name: Callable[[str], None],
    beside: Sequence[str | None] = (),
):
    """The plan for `COMMAND IN [OUT]` and `COMMAND IN... --out=OUT`.

    Args:
      argv: the program's name and its positional arguments.
      extensions: which files of a folder are taken.
      suffix: of outputs whose name is not given.
      check_name: raises OutputError for a name that does not fit; not asked with --force_name.
      beside: files and folders that the command reads beside its inputs.

    Raises:
      TfhificError: without an input, or for an output that can't be written or must not be.
    """
    from tfhific.errors import OutputError, TfhificError
    from tfhific.files import planning
    from tfhific.files.atomic import refuse_terminal
    from tfhific.files.file_kinds import CODED_EXTENSION, IMAGE_EXTENSIONS, extension

    if len(argv) < 2:
        raise TfhificError("Expected an input: a file, a folder, or -. See --help.")
    sources, output = argv[1:], FLAGS.out
    if output is None:
        if len(sources) > 2:
            raise TfhificError(
                f"unexpected argument {sources[2]!r}: expected IN [OUT], or several inputs and a "
                "folder for their outputs: -o FOLDER/"
            )
        sources, output = argv[1:2], argv[2] if len(argv) > 2 else None
    if output == "":
        raise TfhificError("Expected an output's name. Received an empty one.")

    def check(name: str) -> None:
        try:
            check_name(name)
        except OutputError as error:
            if extension(name) not in extensions:
                raise
            raise OutputError(
                f"{error} If {name} is another input, name a folder for the outputs: -o FOLDER/"
            ) from None

    options: dict[str, Any] = {
        "extensions": extensions,
        "suffix": suffix,
        "beside": beside,
        "overwrite": FLAGS.overwrite,
    }
    if FLAGS.out is not None and sources != ["-"] and not os.path.isdir(sources[0]):
        endings = (*IMAGE_EXTENSIONS, CODED_EXTENSION)
        if planning.takes_folder(sources, output, endings):
            return planning.plan_several(sources, output, **options)
    elif len(sources) > 1:
        what = "standard input" if sources[0] == "-" else "a folder"
        raise TfhificError(f"{sources[0]}: expected files, as several are given; this is {what}.")
    if "-" in (output or sources[0], output):
        refuse_terminal()
    return planning.plan(
        sources[0],
        output,
        recursive=FLAGS.recursive,
        check_name=(lambda name: None) if FLAGS.force_name else check,
        **options,
    )


def say_left_out(left_out, folder: str) -> None:
    """Tells what of a folder is not taken, in one line, where that is something."""
    if left_out.line():
        say(f"{folder}: left out {left_out.line()}")


def run_files(planned, work: Callable, line: Callable[[dict], str], folder: str) -> int:
    """Does a plan's jobs, printing a line or a JSON object for each.

    Args:
      planned: the plan.
      work: makes one file and returns its facts.
      line: of a file's facts.
      folder: the input, for messages about what of it is left out.

    Returns:
      The exit code: 0 only if every file went through.
    """
    from tfhific.errors import TfhificError
    from tfhific.files import jobs

    # What goes to standard output must not be mixed with a file that goes there.
    to_stderr = any(job.destination == "-" for job in planned.jobs)
    stream = sys.stderr if to_stderr else sys.stdout

    def report(facts: dict) -> None:
        if FLAGS.json:
            if "error" in facts:
                facts = {**facts, "error": _worded(facts["error"])}
            print(json.dumps(facts), file=stream, flush=True)
        elif "skipped" in facts:
            print(f"{facts['input']}: skipped, {facts['skipped']}", file=stream, flush=True)
        elif "error" not in facts:
            print(line(facts), file=stream, flush=True)

    def whole_work(job) -> dict:
        # Whatever the system refuses costs this file alone; the rest are still done.
        try:
            return work(job)
        except TfhificError:
            raise
        except Exception as error:
            line = failures.line_for(error)
            if line is None:
                raise
            raise TfhificError(f"{job.source}: {line}") from error

    tally = jobs.run(
        planned,
        whole_work,
        report=report,
        complain=lambda message: say(f"error: {message}"),
        progress=len(planned.jobs) > 1 and sys.stderr.isatty(),
    )
    left_out = planned.left_out.facts()
    if left_out and FLAGS.json:
        print(json.dumps({"input": folder, "left_out": left_out}), file=stream, flush=True)
    say_left_out(planned.left_out, folder)
    if planned.folder and not FLAGS.json:
        say(f"{tally.done} done, {tally.skipped} skipped, {tally.failed} failed")
    return 1 if tally.failed else 0
