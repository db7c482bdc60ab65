"""ECG on paper: files that people print or pass on."""
