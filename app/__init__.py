"""The HLLM Live web app: catalogue, importers and the Gradio page."""
