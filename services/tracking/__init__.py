"""Acknowledgements to state, times and next tasks."""
