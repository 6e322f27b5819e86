"""HLLM Live: starts the app. `python app.py --help` teaches; a Space runs this file as it is."""

import os
import sys

from app.serving.arenas import use_few_arenas
from app.serving.stopping import end, end_on_signals
from app.settings import parse_settings
from hllm.shell import exit_code, set_up_output

set_up_output()
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # of transformers, too: a bar fills a log
if __name__ == "__main__":
    use_few_arenas()
    end_on_signals()

try:
    settings = parse_settings(sys.argv[1:] if __name__ == "__main__" else [], os.environ)

    # After the options: --help waits for no library. And this before torch is imported.
    from app.zerogpu import report_start

    report_start()

    from app.get.prepare import prepared

    settings = prepared(settings)  # what is given by name

    import gradio as gr

    from app.opening import open_service
    from app.ui import build_demo, launch

    if gr.NO_RELOAD:  # `gradio app.py` runs this file after every edit: the models stay loaded.
        service = open_service(settings)
    demo = build_demo(service)
    if __name__ == "__main__":
        launch(demo, service, settings)
except Exception as error:
    code = exit_code(error)
    if code is None:
        raise
    end(code)
