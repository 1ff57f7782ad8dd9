"""Words in, tags out: windows, batches and ONNX Runtime."""
