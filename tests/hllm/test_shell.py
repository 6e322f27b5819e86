"""How every command ends: one sentence, an exit code, and no word of libraries."""

import logging
import os
import subprocess
import sys
import warnings

import pytest

from hllm.errors import DataError
from hllm.shell import CommandParser, command, quiet_libraries


def ending(error):
    @command
    def main(argv=None):
        raise error

    return main([])


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (DataError("a.csv: mend it."), 2, "error: a.csv: mend it."),
        (PermissionError(13, "Permission denied", "a/b"), 2, "a/b cannot be read or written"),
        (OSError(28, "No space left on device"), 2, "The disk is full: free some space"),
        (OSError(28, "No space left", "a/b"), 2, "a/b cannot be written, the disk is full"),
        (MemoryError("80 GB"), 2, "not enough memory (80 GB)"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9"), 2, "not enough memory"),
        (KeyboardInterrupt(), 130, "the same command goes on"),
    ],
)
def test_what_a_person_can_mend_is_one_sentence(error, code, sentence, capsys):
    assert ending(error) == code
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), OSError("x"), KeyError("x")])
def test_a_fault_of_the_program_stays_visible(error):
    with pytest.raises(type(error)):
        ending(error)


def test_a_wrong_option_is_one_line_that_names_the_command(capsys):
    parser = CommandParser(prog="python -m hllm.x")
    parser.add_argument("--number", type=int)
    for argv in (["--number", "a"], ["--nosuch"], ["more"]):
        with pytest.raises(SystemExit, match="2"):
            parser.parse_args(argv)
        said = capsys.readouterr().err
        assert said.startswith("python -m hllm.x: error: ") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("rank", "said"), [("0", "it goes well\nmind this\n"), ("1", "mind this\n")]
)
def test_of_several_processes_the_first_one_tells_and_all_warn(rank, said):
    code = (
        "import logging; from hllm.shell import set_up_output; set_up_output()\n"
        "logging.info('it goes well'); logging.warning('mind this')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"RANK": rank},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == said


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["add", "--itmes", "a"], "required: --items (did you mean --items, not --itmes?);"),
        (["add", "--items", "a", "--modle=b"], "(did you mean --model, not --modle?);"),
        (["add", "--items", "a", "--xyzzy"], "unrecognized arguments: --xyzzy;"),
        (["--vebose"], "(did you mean --verbose, not --vebose?);"),
        (["ad"], "(did you mean add?);"),
        (["add", "--items", "a", "--kind", "lage"], "(did you mean large?);"),
        (["remove", "--items", "a"], "unrecognized arguments: --items a;"),
    ],
)
def test_what_is_misspelt_may_mean_something_near(argv, sentence, capsys):
    parser = CommandParser(prog="x")
    parser.add_argument("--verbose", action="store_true")
    commands = parser.add_subparsers()
    commands.add_parser("remove")
    add = commands.add_parser("add")
    add.add_argument("--items", required=True)
    add.add_argument("--model")
    add.add_argument("--kind", choices=["small", "large"])
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(argv)
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert parser.parse_args(["--verb", "add", "--it", "a"]).items == "a"  # part of an option


def test_only_the_offer_of_a_kernel_is_kept_back(caplog):
    quiet_libraries()
    library = logging.getLogger("bitsandbytes.backends.cpu.ops")
    library.warning("Failed to load CPU gemm_4bit_forward from kernels-community: %s.", "reason")
    library.warning("something that matters")
    assert [record.getMessage() for record in caplog.records] == ["something that matters"]


@pytest.mark.slow
def test_importing_bitsandbytes_says_nothing():
    code = "from hllm.shell import set_up_output as s; s(); import bitsandbytes"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("library", ["faiss.loader", "transformers.modeling_utils", "httpx"])
def test_only_warnings_of_libraries_are_shown(caplog, library):
    caplog.set_level(logging.INFO)
    quiet_libraries()
    logging.getLogger(library).info('ModuleNotFoundError("No module named ...")')
    logging.getLogger(library).warning("something that matters")
    assert [record.getMessage() for record in caplog.records] == ["something that matters"]


def test_of_deprecated_names_only_the_one_that_every_allowed_version_has_is_kept_back():
    text = "`past_key_values` is deprecated and will be removed in version 5.40.0"
    with warnings.catch_warnings(record=True) as seen:
        quiet_libraries()
        warnings.warn(text, FutureWarning, stacklevel=1)
        warnings.warn("`input_ids` is deprecated", FutureWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["`input_ids` is deprecated"]
