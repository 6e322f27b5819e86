"""HLLM Live: starts the app. `python app.py --help` teaches; a Space runs this file as it is."""

import logging
import os
import sys

import gradio as gr

from app.opening import open_service
from app.settings import parse_settings
from app.ui import build_demo, launch
from hllm.errors import HLLMError

logging.basicConfig(level=logging.INFO, format="%(message)s")

try:
    settings = parse_settings(sys.argv[1:] if __name__ == "__main__" else [], os.environ)
    if gr.NO_RELOAD:  # `gradio app.py` runs this file after every edit: the models stay loaded.
        service = open_service(settings)
    demo = build_demo(service)
    if __name__ == "__main__":
        launch(demo, service, settings)
except HLLMError as error:
    logging.error("%s", error)
    sys.exit(2)
