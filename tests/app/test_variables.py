"""Variables in the place of options: named where they are wrong, or read by nobody."""

import pytest

from app.settings import Settings, parse_settings


@pytest.mark.parametrize("name", ["GRADIO_SERVER_PORT", "GRADIO_NUM_PORTS"])
@pytest.mark.parametrize("value", ["", " ", "0", "7860x", "70000", "-1", "9" * 5000])
def test_a_variable_that_gradio_could_not_be_imported_with_is_named(name, value, capsys):
    with pytest.raises(SystemExit, match="2"):
        parse_settings([], {name: value})
    said = capsys.readouterr().err
    assert f"the variable {name} is {value.strip()[:20]!r}" in said and said.count("\n") == 1


def test_a_variable_of_gradio_that_is_a_number_is_its_own():
    assert parse_settings([], {"GRADIO_SERVER_PORT": "7000", "GRADIO_NUM_PORTS": "3"}) == Settings()


def test_variables_that_are_no_options_are_named(caplog):
    read = {"HLLM_MODEL": "x", "HLLM_EVENTS_DAYS": "3", "HLLM_CATALOG": "books", "HLLM_CACHE": ""}
    parse_settings([], read | {"OTHER": "1"})
    assert caplog.text == ""
    parse_settings([], read | {"HLLM_CATALOGUE": "x.db", "HLLM_QQ": "1"})
    said = "is ignored, as no option has this variable"
    assert f"HLLM_CATALOGUE {said}: did you mean HLLM_CATALOG?" in caplog.text
    assert f"HLLM_QQ {said}." in caplog.text


@pytest.mark.parametrize(
    ("argv", "environ", "said"),
    [
        ([], {"HLLM_PRECISION": "int9"}, "error: HLLM_PRECISION int9 (did you mean"),
        ([], {"HLLM_EVENTS_DAYS": "abc"}, "error: HLLM_EVENTS_DAYS: invalid int value"),
        (["--port=x"], {"HLLM_PORT": "1"}, "error: argument --port: invalid int value"),
    ],
)
def test_a_wrong_value_is_of_the_variable_that_it_comes_from(argv, environ, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        parse_settings(argv, environ)
    assert said in capsys.readouterr().err
